"""Legal holds by command, beside a server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from composition import composed, picture
from likeness.cli import app
from likeness.engine.fake import fake_photo
from likeness.errors import InvalidInput, NotFound
from likeness.gallery.composition import ComposedGallery
from likeness.tenants.service import Tenant
from servers import Server, calling

Run = Callable[..., str]


@pytest.fixture
def run(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(own_server.deployment.settings.data_dir))
    monkeypatch.setenv("LIKENESS_PACK", "fake")

    def run_command(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run_command


def test_a_hold_is_set_listed_and_ended_beside_a_server(own_server: Server, run: Run) -> None:
    with calling(own_server) as api, calling(own_server) as other:
        entry = api.insert(fake_photo(1), externalId="customer-1").json()["oneToNVerificationId"]
        path = f"/api/v1/face/one-to-n/{entry}"
        assert "under the legal hold case-17" in run("gallery", "hold", api.tenant.id, entry, "case-17")
        assert api.call("DELETE", path).json()["error"] == "CONFLICT"
        (held,) = json.loads(run("gallery", "holds", api.tenant.id, "--json"))
        assert held == api.call("GET", path).json()
        assert held["legalHold"] == "case-17"
        assert "customer-1" in run("gallery", "holds", api.tenant.id)
        assert json.loads(run("gallery", "holds", other.tenant.id, "--json")) == []
        with pytest.raises(NotFound):
            run("gallery", "hold", other.tenant.id, entry, "case-18")
        with pytest.raises(ValueError, match="string_pattern_mismatch"):
            run("gallery", "hold", api.tenant.id, entry, "two\nlines")
        assert "under no legal hold" in run("gallery", "release", api.tenant.id, entry)
        assert api.call("DELETE", path).status_code == 204
        with pytest.raises(NotFound):
            run("gallery", "release", api.tenant.id, entry)


def test_a_tenant_with_a_hold_is_not_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def enrol(gallery: ComposedGallery, tenant: Tenant) -> str:
        await gallery.upkeep.load()
        entry = await gallery.service.insert(tenant, picture(1))
        await gallery.service.hold(tenant, entry, "case-17")
        return entry

    with composed(tmp_path) as (deployment, gallery):
        entry = asyncio.run(enrol(gallery, deployment.tenants.create("acme")))
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    erasing = ["tenant", "erase", "acme", "--yes"]
    with pytest.raises(InvalidInput, match="1 entries are under a legal hold"):
        CliRunner().invoke(app, erasing, catch_exceptions=False)
    assert CliRunner().invoke(app, ["gallery", "release", "acme", entry]).exit_code == 0
    assert CliRunner().invoke(app, erasing).exit_code == 0
