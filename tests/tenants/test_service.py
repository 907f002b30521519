"""Tenants of a running server."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from likeness.deployment import initialise, open_deployment
from likeness.errors import Unauthorized
from likeness.tenants.schemas import TenantSettings
from servers import test_settings


def test_what_a_command_changes_reaches_a_running_server(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)

    async def main() -> None:
        changed = server.tenants.create("changed")
        kept = server.tenants.create("kept")
        erased = server.tenants.create("erased")
        command.tenants.change_settings(changed.id, TenantSettings(search_level=3))
        command.tenants.erase(erased.id)
        assert (await server.tenants.get(changed.id)).settings.search_level != 3
        server.tenants.all()
        assert (await server.tenants.get(changed.id)).settings.search_level == 3
        assert await server.tenants.get(kept.id) is kept
        with pytest.raises(Unauthorized):
            await server.tenants.get(erased.id)

    with closing(open_deployment(settings)) as server, closing(open_deployment(settings)) as command:
        asyncio.run(main())
