"""Tenants of a running server."""

import asyncio
import hmac
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, update

from likeness.deployment import initialise, open_deployment
from likeness.errors import SetupError, Unauthorized
from likeness.kit.envelope import mac_key_of, new_data_key
from likeness.store.tables import data_keys
from likeness.tenants.repository import add_data_key
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import key_context
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


def test_a_data_key_of_another_process_reaches_a_running_server(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    with closing(open_deployment(settings)) as server, closing(open_deployment(settings)) as command:
        tenant = server.tenants.create("tenant")
        before = tenant.cipher.seal(b"old", "p", "r")
        wrapped = command.keys.wrap(new_data_key(), key_context(tenant.id, 2))
        command.database.write_now(lambda c: add_data_key(c, tenant.id, 2, wrapped, created_at=0))
        sealed = command.tenants.by_id(tenant.id).cipher.seal(b"new", "p", "r")
        assert tenant.cipher.open(sealed, "p", "r") == b"new"
        assert tenant.cipher.open(before, "p", "r") == b"old"
        command.database.write_now(lambda c: c.execute(delete(data_keys).where(data_keys.c.number == 1)))
        assert server.tenants.all() == [tenant]
        assert tenant.cipher.is_newest(tenant.cipher.seal(b"x", "p", "r"))
        with pytest.raises(SetupError):
            tenant.cipher.open(before, "p", "r")


def test_who_has_a_tenant_from_before_it_was_opened_again_seals_with_its_newest_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    with closing(open_deployment(settings)) as server, closing(open_deployment(settings)) as command:
        rows = server.tenants.rows()
        tenant = server.tenants.create("tenant")
        with monkeypatch.context() as patched:  # a thread that has read the rows before the tenant was made
            patched.setattr(server.tenants, "rows", lambda: rows)
            assert server.tenants.all() == []
        command.tenants.rotate_data_key(tenant.id)
        again = {each.id: each for each in server.tenants.all()}[tenant.id]
        assert again.cipher.is_newest(tenant.cipher.seal(b"x", "p", "r"))
        command.tenants.change_settings(tenant.id, TenantSettings(search_level=3))
        command.tenants.rotate_data_key(tenant.id)
        again = {each.id: each for each in server.tenants.all()}[tenant.id]
        assert again.settings.search_level == 3
        assert again.cipher.is_newest(tenant.cipher.seal(b"x", "p", "r"))
        assert [again.cipher.head[-1], tenant.settings.search_level] == [3, TenantSettings().search_level]


def test_a_tenant_from_before_keys_had_numbers_is_opened(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    key, nonce = new_data_key(), bytes(12)
    with closing(open_deployment(settings)) as deployment:
        tenant = deployment.tenants.create("tenant")
        row = {"number": 0, "sealed_key": deployment.keys.wrap(key, tenant.id)}
        deployment.database.write_now(lambda c: c.execute(update(data_keys).values(row)))
    bare = nonce + AESGCM(key).encrypt(nonce, b"old", f"{tenant.id}\0p\0r".encode())
    digest = hmac.digest(mac_key_of(key), f"{tenant.id}\0p\0".encode() + b"content", "sha256")
    with closing(open_deployment(settings)) as deployment:
        tenant = deployment.tenants.by_name("tenant")
        assert tenant.cipher.open(bare, "p", "r") == b"old"
        assert tenant.cipher.open(tenant.cipher.seal(b"new", "p", "r"), "p", "r") == b"new"
        assert tenant.cipher.macs(b"content", "p")[1:] == [digest]
