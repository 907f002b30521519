"""The administrative commands on a real data folder."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from likeness import __version__
from likeness.cli import app, main
from likeness.deployment import open_deployment
from likeness.engine.base import FacePolicy
from likeness.errors import SetupError
from likeness.gallery.repository import GalleryPacks, GalleryRows
from likeness.settings import Settings
from likeness.tenants.schemas import TenantSettings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    return tmp_path / "data"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_init_makes_a_folder_that_only_its_owner_reads(folder: Path) -> None:
    assert "master.key" in run("init").replace("\n", "")
    assert stat.S_IMODE((folder / "master.key").stat().st_mode) == 0o600
    with pytest.raises(SetupError, match="already"):
        run("init")


def test_a_lost_key_is_never_replaced(folder: Path) -> None:
    run("init")
    (folder / "master.key").unlink()
    with pytest.raises(SetupError, match="restore the key file"):
        run("init")
    with pytest.raises(SetupError, match="no master key"):
        run("tenant", "list")


def test_a_wrong_key_opens_nothing(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    (folder / "master.key").write_bytes(bytes(32))
    with pytest.raises(SetupError, match="wrong master key"):
        run("tenant", "list")
    (folder / "master.key").write_bytes(b"short")
    with pytest.raises(SetupError, match="damaged"):
        run("tenant", "list")


def test_tenants_and_clients(folder: Path) -> None:
    run("init")
    made = run("tenant", "create", "acme")
    first = re.search(r"client_id\s+(\S+)", made)
    assert first
    assert "acme" in run("tenant", "list")
    second = run("client", "create", "acme", "--name", "matcher", "--scope", "KYC_FACE_MATCH")
    secret = re.search(r"client_secret\s+(\S+)", second)
    assert secret
    rotated = run("client", "rotate", first.group(1))
    assert secret.group(1) not in rotated
    run("client", "disable", first.group(1))
    listed = run("client", "list", "acme")
    assert "disabled" in listed
    assert "matcher" in listed
    deployment = open_deployment(Settings())
    stored = (folder / "likeness.sqlite3").read_bytes()
    deployment.close()
    assert secret.group(1).encode() not in stored


def test_tenant_settings_are_changed_one_by_one(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    run("tenant", "set", "acme", "--search-level", "3")
    run("tenant", "set", "acme", "--face-policy", "single")
    run("tenant", "set", "acme", "--target-fpir", "0.001")
    assert _settings_of("acme") == TenantSettings(search_level=3, face_policy=FacePolicy.SINGLE, target_fpir=0.001)
    run("tenant", "set", "acme", "--target-fpir", "0")
    assert _settings_of("acme") == TenantSettings(search_level=3, face_policy=FacePolicy.SINGLE)


def _settings_of(tenant: str) -> TenantSettings:
    deployment = open_deployment(Settings())
    settings = deployment.tenants.by_name(tenant).settings
    deployment.close()
    return settings


def test_another_pack_than_the_galleries_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    run("tenant", "create", "acme")
    deployment = open_deployment(Settings())
    deployment.load_engine()
    tenant = deployment.tenants.by_name("acme")
    deployment.database.write_now(lambda c: GalleryRows(tenant.id).set_packs(c, GalleryPacks("fake@1", None)))
    deployment.close()
    monkeypatch.setenv("LIKENESS_PACK", "fake-2")
    deployment = open_deployment(Settings())
    with pytest.raises(SetupError, match="gallery reindex --pack fake-2"):
        deployment.load_engine()
    deployment.close()


def test_another_version_of_the_pack_is_refused(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    deployment = open_deployment(Settings())
    deployment.record("pack", {"id": "fake", "version": "0"})
    tenant = deployment.tenants.by_name("acme")
    deployment.database.write_now(lambda c: GalleryRows(tenant.id).set_packs(c, GalleryPacks("fake@0", None)))
    with pytest.raises(SetupError, match="Install 0 again"):
        deployment.load_engine()
    deployment.close()


def test_without_a_gallery_the_pack_is_free_to_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    for pack in ("fake", "fake-2"):
        monkeypatch.setenv("LIKENESS_PACK", pack)
        deployment = open_deployment(Settings())
        assert deployment.load_engine().pack.id == pack
        deployment.close()


def test_what_the_operator_must_mend_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setattr("sys.argv", ["likeness", "serve"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    assert "likeness init" in told
    assert "Traceback" not in told


def test_names_and_errors_are_shown_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    run("init")
    run("tenant", "create", "bank [bold]")
    assert "bank [bold]" in run("tenant", "list")
    monkeypatch.setattr("sys.argv", ["likeness", "client", "list", "[/nobody]"])
    with pytest.raises(SystemExit):
        main()
    assert "[/nobody]" in capsys.readouterr().err


def test_a_setting_that_makes_no_sense_is_a_sentence_without_its_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("LIKENESS_PORT", "secret")
    monkeypatch.setattr("sys.argv", ["likeness", "tenant", "list"])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().err
    assert "port" in told
    assert "secret" not in told


def test_the_version_is_told() -> None:
    assert run("--version") == f"likeness {__version__}\n"


@pytest.mark.parametrize("command", ["init", "serve", "demo", "tenant", "client"])
def test_help_teaches(command: str) -> None:
    assert len(run(command, "--help").splitlines()) > 8
