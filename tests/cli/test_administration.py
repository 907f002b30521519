"""The administrative commands on a real data folder."""

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from sqlalchemy import Connection, select
from typer.testing import CliRunner

from likeness import __version__
from likeness.access.scopes import API_SCOPES
from likeness.cli import app, main
from likeness.deployment import open_deployment
from likeness.engine.fake import fake_photo
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.policy import FacePolicy
from likeness.errors import InvalidInput, NotFound, SetupError
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.served_pack import load_served_engine
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.store.migrations import upgrade
from likeness.store.ownership import owned
from likeness.store.tables import gallery_entries, gallery_templates, metadata
from likeness.tenants.schemas import TenantSettings
from servers import calling, serving, test_settings


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


@pytest.mark.parametrize("own_database", [False, True])
def test_a_lost_key_is_never_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch, own_database: bool) -> None:
    if own_database:
        monkeypatch.setenv("LIKENESS_DATABASE_URL", f"sqlite:///{folder.parent / 'elsewhere.sqlite3'}")
    run("init")
    run("tenant", "create", "acme")
    (folder / "master.key").unlink()
    with pytest.raises(SetupError, match="restore the key file"):
        run("init")
    with pytest.raises(SetupError, match="no master key"):
        run("tenant", "list")


def test_an_init_that_broke_off_is_finished_by_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(_: int) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("likeness.kit.envelope.secrets.token_bytes", breaks_off)
        result = CliRunner().invoke(app, ["init"])
    assert result.exit_code != 0
    assert {file.name for file in folder.iterdir()} >= {"likeness.sqlite3"}
    assert not (folder / "master.key").exists()
    (folder / "likeness.sqlite3").write_bytes(b"")  # as if it broke off even earlier
    run("init")
    run("tenant", "create", "acme")


def test_the_database_is_private_whoever_made_its_folder(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    run("init")
    database = folder / "likeness.sqlite3"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    database.chmod(0o644)
    run("tenant", "list")
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["wh?t", "a%20b#c", "é ü"])
def test_a_data_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / name))
    run("init")
    run("tenant", "create", "acme")
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "likeness.sqlite3").stat().st_size


@pytest.mark.parametrize("address", ["nothing", "foo://bar", "s3://", "memory:///", "https://host/photos"])
def test_an_image_store_that_is_none_is_a_sentence(address: str) -> None:
    with pytest.raises(SetupError, match="LIKENESS_IMAGES_URL"):
        ImageStore(address)


def test_an_address_of_six_is_bracketed() -> None:
    assert Settings(host="::1", port=8080).origin == "http://[::1]:8080"


@pytest.mark.parametrize("older", [False, True], ids=["new data", "data of before"])
def test_a_wrong_key_changes_nothing(folder: Path, older: bool) -> None:
    run("init")
    run("tenant", "create", "acme")
    if older:
        with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
            connection.execute("DELETE FROM deployment")
            connection.commit()
    right, before = (folder / "master.key").read_bytes(), rows_of_the_database(folder)
    for wrong, message in ((bytes(32), "wrong master key.*restore the key file"), (b"short", "damaged")):
        (folder / "master.key").write_bytes(wrong)
        for command in (
            ["tenant", "create", "second"],
            ["tenant", "list"],
            ["client", "create", "acme", "--scope", "KYC_FACE_MATCH"],
            ["keys", "rotate"],
            ["serve"],
        ):
            with pytest.raises(SetupError, match=message):
                run(*command)
    assert rows_of_the_database(folder) == before
    (folder / "master.key").write_bytes(right)
    run("tenant", "create", "second")
    assert len(rows_of_the_database(folder)["deployment"]) == 1


def rows_of_the_database(folder: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in metadata.tables}  # noqa: S608


@pytest.mark.parametrize(
    ("left", "own_database"),
    [("nothing", False), ("an empty file", False), ("empty tables", False), ("nothing", True)],
)
def test_a_missing_database_is_never_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, left: str, own_database: bool
) -> None:
    database = folder / "likeness.sqlite3"
    if own_database:
        database = folder.parent / "elsewhere.sqlite3"
        monkeypatch.setenv("LIKENESS_DATABASE_URL", f"sqlite:///{database}")
    run("init")
    run("tenant", "create", "acme")
    database.unlink()
    if left == "an empty file":
        database.touch()
    elif left == "empty tables":
        upgrade(f"sqlite:///{database}")
    for command in (["tenant", "list"], ["tenant", "create", "second"], ["serve"]):
        with pytest.raises(SetupError, match=r"no database of this deployment.*restore it"):
            run(*command)
    assert database.exists() == (left != "nothing")
    with pytest.raises(SetupError, match="already"):
        run("init")


def test_a_tenant_whose_data_key_is_damaged_stops_no_other_and_can_be_erased(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(test_settings(folder)) as server, calling(server) as damaged, calling(server) as other:
        assert damaged.insert(fake_photo(1)).status_code == other.insert(fake_photo(2)).status_code == 200
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE data_keys SET sealed_key = zeroblob(60) WHERE tenant_id = ?", [damaged.tenant.id])
        connection.commit()
    with serving(test_settings(folder)) as server:
        replies = []
        for client in (damaged, other):
            with httpx.Client(base_url=server.url) as http:
                form = {"client_id": client.client_id, "client_secret": client.client_secret}
                token = http.post("/api/oauth/token", data=form | {"grant_type": "client_credentials"}).json()
                headers = {"Authorization": f"Bearer {token['access_token']}"}
                replies.append(http.get("/api/v1/face/one-to-n", headers=headers))
    assert [reply.status_code for reply in replies] == [503, 200]
    assert len(replies[1].json()["entries"]) == 1
    assert f"likeness tenant erase {damaged.tenant.id}" in caplog.text
    listed = run("tenant", "list")
    assert damaged.tenant.id in listed
    assert damaged.client_id in run("client", "list", damaged.tenant.id)
    run("tenant", "erase", damaged.tenant.id, "--yes")
    assert damaged.tenant.id not in run("tenant", "list")


def test_a_client_gets_the_permissions_that_are_named_and_no_other(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    listed = run("client", "list", "acme")
    assert set(re.findall(r"KYC_\w+|ADMIN", listed)) == API_SCOPES
    assert "ADMIN" not in API_SCOPES
    with pytest.raises(InvalidInput, match=r"--scope.*KYC_FACE_FLOW, KYC_FACE_MATCH.*ADMIN"):
        run("client", "create", "acme", "--name", "matcher")
    assert run("client", "list", "acme") == listed


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("not an address", "not the address of a database"),
        ("nosuch://secret@host/name", "not the address of a database"),
        ("postgresql+psycopg://user:secret@/name?host=/nowhere", "server unreachable"),
    ],
)
def test_a_database_that_cannot_be_opened_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.setenv("LIKENESS_DATABASE_URL", address)
    with pytest.raises(SetupError, match=message) as refused:
        run("init")
    assert "secret" not in str(refused.value)


def test_a_database_of_a_newer_version_is_left_alone(folder: Path) -> None:
    run("init")
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    with pytest.raises(SetupError, match="another version of Likeness"):
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


@pytest.mark.parametrize("columns", [None, "40", "80"])
def test_what_other_commands_are_given_is_never_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    """Runs at widths of a terminal, and without a terminal (None)."""
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setattr("rich.console.Console.is_terminal", True)
    run("init")
    made = run("tenant", "create", "acme")
    names = dict(re.findall(r"(tenant|client_id|client_secret)\s+(\S+)", made))
    assert len(names["client_secret"]) == 64
    run("tenant", "set", "acme", "--search-level", "5", "--gallery-limit", "100", "--target-fpir", "0.001")
    if columns != "40":
        assert names["client_id"] in run("client", "list", "acme")
        assert names["tenant"] in run("tenant", "list")
    if not columns:
        assert len(run("client", "list", "acme").splitlines()) == 5
    assert "disabled" not in run("client", "list", names["tenant"])


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "M\udcfcller", "x" * 300])
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    run("init")
    run("tenant", "create", "acme")
    for arguments in (
        ["tenant", "create", name],
        ["client", "create", "acme", "--name", name, "--scope", "KYC_FACE_MATCH"],
    ):
        with pytest.raises(InvalidInput, match="printable"):
            run(*arguments)


def test_tenant_settings_are_changed_one_by_one(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    run("tenant", "set", "acme", "--search-level", "3")
    run("tenant", "set", "acme", "--face-policy", "single")
    run("tenant", "set", "acme", "--target-fpir", "0.001")
    run("tenant", "set", "acme", "--liveness-mode", "strict")
    changed = TenantSettings(search_level=3, face_policy=FacePolicy.SINGLE, liveness_mode="strict")
    assert _settings_of("acme") == changed.model_copy(update={"target_fpir": 0.001})
    run("tenant", "set", "acme", "--target-fpir", "0")
    assert _settings_of("acme") == changed
    run("tenant", "set", "acme", "--redirect-host", "a.example", "--redirect-host", "B.example")
    assert _settings_of("acme") == changed.model_copy(update={"redirect_hosts": ("a.example", "b.example")})
    with pytest.raises(ValidationError, match="redirect_hosts"):
        run("tenant", "set", "acme", "--redirect-host", "https://a.example")
    run("tenant", "set", "acme", "--liveness-in-browser")
    assert _settings_of("acme").liveness_in_browser
    run("tenant", "set", "acme", "--no-liveness-in-browser")
    run("tenant", "set", "acme", "--redirect-host", "any", "--entry-days", "365")
    assert _settings_of("acme") == changed.model_copy(update={"entry_days": 365})
    run("tenant", "set", "acme", "--entry-days", "0")
    assert _settings_of("acme") == changed
    run("tenant", "set", "acme", "--privacy-name", "Bank", "--privacy-url", "https://bank.example/privacy")
    told = {"privacy_name": "Bank", "privacy_url": "https://bank.example/privacy"}
    assert _settings_of("acme") == changed.model_copy(update=told)
    run("tenant", "set", "acme", "--privacy-name", "", "--privacy-url", "")
    assert _settings_of("acme") == changed


def test_a_client_is_set_up_and_its_secrets_change(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    made = run("client", "create", "acme", "--scope", "KYC_FACE_MATCH", "--days", "30")
    client_id = re.findall(r"client_id +(\S+)", made)[0]
    assert re.fullmatch(r".*works until \d{4}-.*", run("client", "secrets", client_id), re.DOTALL)
    run("client", "rotate", client_id, "--overlap-hours", "1")
    older, newer = re.findall(r"\b([0-9a-f]{8})\b.*works", run("client", "secrets", client_id))
    run("client", "end-secret", client_id, older)
    assert newer in run("client", "secrets", client_id)
    assert older not in run("client", "secrets", client_id)
    assert "10.1.0.0/16" in run("client", "set", client_id, "--network", "10.1.0.0/16", "--network", "::1")
    with pytest.raises(ValidationError, match="networks"):
        run("client", "set", client_id, "--network", "10.1.0.1/16")
    assert "10.1.0.0/16" in run("client", "list", "acme").replace("\n", "")
    assert '"scores": "level"' in run("client", "set", client_id, "--scores", "level")
    key = folder / "key.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert '"crv": "P-256"' in run("client", "set", client_id, "--key", str(key))
    with pytest.raises(InvalidInput, match="no file"):
        run("client", "set", client_id, "--key", str(folder / "missing"))
    with pytest.raises(InvalidInput, match="no public key"):
        run("client", "set", client_id, "--key", str(folder / "master.key"))
    with pytest.raises(ValidationError, match="needs a subject"):
        run("client", "set", client_id, "--issuer", "https://login.bank.example")
    assert '"subject": "job"' in run("client", "set", client_id, "--issuer", "https://a.example", "--subject", "job")
    assert '"issuer": null' in run("client", "set", client_id, "--issuer", "none")
    assert '"keys": []' in run("client", "set", client_id, "--key", "none")
    with pytest.raises(InvalidInput, match="no certificate"):
        run("client", "set", client_id, "--certificate", str(key))
    key.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "cJ6AyISHokEeHuTfufIqhhSS0gxHZRUMDHlKvXD4FHw" in run("client", "set", client_id, "--certificate", str(key))
    assert '"certificates": []' in run("client", "set", client_id, "--certificate", "none")
    run("client", "set", client_id, "--network", "any")
    assert "10.1" not in run("client", "list", "acme")


def test_a_first_client_gets_the_permissions_that_are_named(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme", "--scope", "KYC_FACE_MATCH")
    with closing(open_deployment(Settings())) as deployment:
        (client,) = deployment.clients.of_tenant(deployment.tenants.row_by_name("acme").id)
    assert client.scopes == ("KYC_FACE_MATCH",)


def test_a_liveness_mode_that_nobody_could_pass_is_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    run("tenant", "create", "acme")
    with monkeypatch.context() as other:
        other.setenv("LIKENESS_PACK", "builtin")
        with pytest.raises(InvalidInput, match="packs install minifasnet-80"):
            run("tenant", "set", "acme", "--liveness-mode", "passive")
        run("tenant", "set", "acme", "--liveness-mode", "strict")
    run("tenant", "set", "acme", "--liveness-mode", "passive")
    assert _settings_of("acme") == TenantSettings(liveness_mode="passive")


def test_an_erased_tenant_leaves_nothing_and_takes_nothing_else_along(folder: Path) -> None:
    known = {"clients", "data_keys", "face_sessions", "galleries", "gallery_entries", "usage_counts"}
    with serving(test_settings(folder)) as server, calling(server) as staying, calling(server) as leaving:
        for caller in (staying, leaving):
            for person in range(3):
                photo = fake_photo(person, size=(160, 120))
                caller.insert(photo).raise_for_status()
            caller.open_session(photo).raise_for_status()
        with owned(folder), pytest.raises(SetupError, match="stop it first"):
            run("tenant", "erase", leaving.tenant.name, "--yes")
    refused = CliRunner().invoke(app, ["tenant", "erase", leaving.tenant.name], input="n\n")
    assert refused.exit_code == 1
    assert "3 entries" in refused.output
    assert _rows_of(leaving.tenant.id) == _rows_of(staying.tenant.id) == known
    run("tenant", "erase", leaving.tenant.name, "--yes")
    assert _rows_of(leaving.tenant.id) == set()
    assert _rows_of(staying.tenant.id) == known
    assert [len(list((folder / "images" / each.tenant.id).iterdir())) for each in (leaving, staying)] == [0, 3]
    with pytest.raises(NotFound):
        run("tenant", "erase", leaving.tenant.name, "--yes")
    with serving(test_settings(folder)) as server:
        replies = []
        for caller in (leaving, staying):
            form = {"client_id": caller.client_id, "client_secret": caller.client_secret}
            form["grant_type"] = "client_credentials"
            replies.append(httpx.post(f"{server.url}/api/oauth/token", data=form).status_code)
    assert replies == [401, 200]


def _rows_of(tenant_id: str) -> set[str]:
    """Give the tables with rows of the tenant, and check that each template has its entry."""
    deployment = open_deployment(Settings())

    def find(connection: Connection) -> set[str]:
        entries = select(gallery_entries.c.key)
        assert not connection.execute(
            select(gallery_templates).where(gallery_templates.c.entry_key.not_in(entries))
        ).all()
        owned = [table for table in metadata.sorted_tables if "tenant_id" in table.c]
        return {
            table.name
            for table in owned
            if connection.execute(select(table).where(table.c.tenant_id == tenant_id)).all()
        }

    try:
        return deployment.database.read_now(find)
    finally:
        deployment.close()


def test_signing_keys_are_listed_rotated_and_revoked(folder: Path) -> None:
    def listed() -> list[list[str]]:
        return [
            line.replace("│", " ").split()[:2]
            for line in run("keys", "list").splitlines()
            if "signs" in line or "verif" in line
        ]

    run("init")
    run("keys", "rotate")
    ((old, word),) = listed()
    assert word == "signs"
    output = run("keys", "rotate")
    (new, _), retired = listed()
    assert new in output
    assert retired == [old, "verifies"]
    assert "new signing key" not in run("keys", "revoke", old).lower()
    assert listed() == [[new, "signs"]]
    assert "new signing key" in run("keys", "revoke", new).lower()
    assert listed()[0][0] not in {old, new}
    for unknown in (new, "-begins-with-a-hyphen"):
        with pytest.raises(NotFound, match="keys list"):
            run("keys", "revoke", unknown)


def test_a_signing_key_that_was_altered_is_reported_with_what_to_do(folder: Path) -> None:
    run("init")
    run("keys", "rotate")
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE signing_keys SET sealed_private_key = zeroblob(60)")
        connection.commit()
    with closing(open_deployment(Settings())) as deployment:
        with pytest.raises(SetupError, match="keys revoke") as refused:
            deployment.signing_keys.signer()
        (kid,) = re.findall(r"keys revoke (\S+)`", str(refused.value))
        deployment.signing_keys.revoke(kid)
        deployment.signing_keys.signer()


def _settings_of(tenant: str) -> TenantSettings:
    deployment = open_deployment(Settings())
    settings = deployment.tenants.by_name(tenant).settings
    deployment.close()
    return settings


def test_another_pack_than_the_galleries_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    run("tenant", "create", "acme")
    deployment = open_deployment(Settings())
    load_served_engine(deployment)
    tenant = deployment.tenants.by_name("acme")
    deployment.database.write_now(
        lambda c: GalleryRepository(tenant.id).set_packs(c, GalleryPacks(PackIdentity("fake@1"), None))
    )
    deployment.close()
    monkeypatch.setenv("LIKENESS_PACK", "fake-2")
    deployment = open_deployment(Settings())
    with pytest.raises(SetupError, match="gallery reindex --pack fake-2"):
        load_served_engine(deployment)
    deployment.close()


def test_another_version_of_the_pack_is_refused(folder: Path) -> None:
    run("init")
    run("tenant", "create", "acme")
    deployment = open_deployment(Settings())
    deployment.record("pack", {"id": "fake", "version": "0"})
    tenant = deployment.tenants.by_name("acme")
    deployment.database.write_now(
        lambda c: GalleryRepository(tenant.id).set_packs(c, GalleryPacks(PackIdentity("fake@0"), None))
    )
    with pytest.raises(SetupError, match="Install 0 again"):
        load_served_engine(deployment)
    deployment.close()


def test_without_a_gallery_the_pack_is_free_to_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    for pack in ("fake", "fake-2"):
        monkeypatch.setenv("LIKENESS_PACK", pack)
        deployment = open_deployment(Settings())
        assert load_served_engine(deployment).pack.id == pack
        deployment.close()


def test_what_the_operator_must_mend_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setattr("sys.argv", ["likeness", "serve"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    errors = capsys.readouterr().err
    assert "likeness init" in errors
    assert "Traceback" not in errors


def test_a_file_in_the_way_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    folder.write_text("in the way")
    monkeypatch.setattr("sys.argv", ["likeness", "init"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "File exists" in capsys.readouterr().err


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
    errors = capsys.readouterr().err
    assert "port" in errors
    assert "secret" not in errors


@pytest.mark.parametrize(
    "address", ["https://face.example/api", "https://face.example/?a=1", "https://u:p@face.example"]
)
def test_the_public_address_is_a_bare_origin(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("LIKENESS_BASE_URL", address)
    with pytest.raises(ValidationError, match="bare origin"):
        Settings()
    monkeypatch.setenv("LIKENESS_BASE_URL", "https://face.example:8443/")
    assert Settings().origin == "https://face.example:8443"


def test_the_version_is_printed() -> None:
    assert run("--version") == f"likeness {__version__}\n"


@pytest.mark.parametrize("command", ["init", "serve", "demo", "tenant", "client"])
def test_help_teaches(command: str) -> None:
    assert len(run(command, "--help").splitlines()) > 8
