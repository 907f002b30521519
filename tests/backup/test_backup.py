"""Backups: made while a server works, restored elsewhere, and refused when they are not what they should be."""

import asyncio
import base64
import json
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519
from sqlalchemy import select
from typer.testing import CliRunner

from audit import trails
from composition import composed, entries, picture
from faults.ledger import Fate, Ledger, Load, listed, search
from likeness.audit.actions import Action
from likeness.audit.seals import SealPlace
from likeness.backup import creation, snapshot
from likeness.backup.archive import (
    DATABASE,
    HEADER,
    KEY,
    STATEMENT,
    ArchiveReader,
    ArchiveWriter,
    decrypting,
    encrypting,
)
from likeness.backup.creation import BackupReport, Creation
from likeness.backup.inspection import faults_in
from likeness.backup.restoration import Restoration
from likeness.cli import app
from likeness.deployment import open_deployment
from likeness.errors import InvalidInput, SetupError
from likeness.settings import Settings
from likeness.store.images import open_objects
from likeness.store.tables import gallery_entries
from processes import server_process
from s3_server import new_photos_url
from servers import test_settings

PEOPLE = 12
IDENTITY = x25519.Identity.generate()


def silent(_name: str, _total: int) -> Callable[[int], None]:
    return lambda _: None


def back_up(settings: Settings, *, with_key: bool = False) -> tuple[bytes, BackupReport]:
    target = BytesIO()
    with closing(open_deployment(settings)) as deployment:
        report = Creation(deployment, [IDENTITY.to_public()], with_key=with_key).run(target, silent)
    return target.getvalue(), report


def restore(backup: bytes, target: Settings, **options: Any) -> None:
    Restoration(target, [IDENTITY], **options).run(BytesIO(backup), len(backup), silent)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Make a deployment with people."""
    folder = tmp_path_factory.mktemp("source")
    with composed(folder) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        gallery.galleries.rebuild(deployment.database, [tenant])
        for person in range(PEOPLE):
            asyncio.run(gallery.service.insert(tenant, picture(person)))
    return test_settings(folder, workers=2)


@pytest.fixture(scope="module")
def backup(source: Settings) -> bytes:
    return back_up(source)[0]


@pytest.fixture
def target(tmp_path: Path, source: Settings) -> Settings:
    """Give an empty place that has the master key."""
    settings = test_settings(tmp_path / "target")
    settings.data_dir.mkdir()
    shutil.copy(source.master_key_file, settings.master_key_file)
    return settings


def check_restored(settings: Settings) -> None:
    with closing(open_deployment(settings)) as deployment:
        (tenant,) = deployment.tenants.all()
        assert entries(deployment, tenant) == PEOPLE
        assert list(faults_in(deployment, gone=0)) == []
        assert trails.records(deployment)[-1].action == Action.RESTORE
        assert not trails.check(deployment).faults


def check_empty(settings: Settings) -> None:
    """Nothing is there but the key, so the next restore may begin."""
    left = {path for path in settings.data_dir.rglob("*") if path.is_file()}
    assert left == {settings.master_key_file, settings.data_dir / "owner.lock"}


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_backup_under_load_has_all_that_was_acknowledged(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = {"database_url": request.getfixturevalue("postgres_url")} if database == "postgres" else {}
    ledger, made = Ledger(), []
    with server_process(tmp_path / "source", pack="fake", workers=2, log_level="error", **url) as server:
        load = Load(server, ledger, seed=1)

        def back_up_and_kill() -> None:
            before = dict(ledger.entries)
            answered = load.answered
            made.append((before, back_up(server.settings)))
            while load.answered < answered + 20:  # the load goes on
                threading.Event().wait(0.01)
            server.kill()

        load.run(back_up_and_kill, answers=80)
        (before, (backup, report)) = made[0]
        kept = Ledger({entry: was for entry, was in before.items() if ledger.entries[entry] == was})
        there = server.settings.model_copy(update={"data_dir": tmp_path / "target", "database_url": None})
        if url:
            from postgres import new_database  # noqa: PLC0415  needs psycopg

            there = there.model_copy(
                update={"database_url": new_database(request.getfixturevalue("postgres_server_url"))}
            )
        there.data_dir.mkdir()
        shutil.copy(server.settings.master_key_file, there.master_key_file)
        restore(backup, there, kept=report.seal)
        moved = {"LIKENESS_DATA_DIR": str(there.data_dir)}
        moved |= {"LIKENESS_DATABASE_URL": there.database_url} if there.database_url else {}
        other = replace(server, settings=there, environment=server.environment | moved)
        other.start()
        try:
            with other.client() as http:
                found = listed(http)
                here = kept.with_fate(Fate.HERE)
                assert len(here) > 20
                assert {entry for entry in here if found.get(entry)} == here.keys(), "an entry or its photo is lost"
                assert kept.with_fate(Fate.WITHOUT_IMAGE).keys() <= found.keys()
                assert not kept.with_fate(Fate.ERASED).keys() & found.keys()
                for entry, person in list(here.items())[:15]:
                    assert search(http, person)["oneToNVerificationId"] == entry
        finally:
            other.stop()
    with closing(open_deployment(there)) as deployment:
        assert not trails.check(deployment).faults
        assert list(faults_in(deployment, gone=report.gone)) == []


@pytest.mark.parametrize("photos", ["folder", "s3"])
def test_a_backup_of_sqlite_can_be_restored_to_postgresql(
    backup: bytes, target: Settings, postgres_url: str, photos: str, request: pytest.FixtureRequest
) -> None:
    place: dict[str, Any] = {"database_url": postgres_url}
    if photos == "s3":
        request.getfixturevalue("s3")
        place["images_url"] = new_photos_url()
    other = target.model_copy(update=place)
    restore(backup, other)
    check_restored(other)
    with pytest.raises(SetupError, match=r"holds something already|holds data already"):
        restore(backup, other)


def test_a_changed_byte_is_found_wherever_it_is(backup: bytes, target: Settings) -> None:
    places = [0, 30, 150, 300, len(backup) // 3, len(backup) // 2, len(backup) - 1]
    for place in places:
        altered = bytearray(backup)
        altered[place] ^= 1
        with pytest.raises(SetupError, match=r"altered|does not open"):
            restore(bytes(altered), target)
        check_empty(target)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 0.99999])
def test_a_cut_backup_is_refused(backup: bytes, target: Settings, share: float) -> None:
    with pytest.raises(SetupError, match=r"altered|does not open"):
        restore(backup[: int(len(backup) * share)], target)
    check_empty(target)


def test_what_was_refused_does_not_prevent_the_right_restore(backup: bytes, target: Settings) -> None:
    with pytest.raises(SetupError):
        restore(backup[: len(backup) // 2], target)
    restore(backup, target)
    check_restored(target)
    with pytest.raises(SetupError, match="restore into an empty data folder"):
        restore(backup, target)


def forged(backup: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Encrypt a changed archive anew, as everybody can who knows the public key."""
    with decrypting(BytesIO(backup), [IDENTITY]) as stream:
        members = {each.name: each.content(largest=1 << 30) for each in ArchiveReader(stream).members()}
    change(members)
    target = BytesIO()
    with encrypting(target, [IDENTITY.to_public()]) as stream:
        writer = ArchiveWriter(stream)
        for name, content in members.items():
            writer.add_bytes(name, content)
        writer.close()
    return target.getvalue()


def photo_of(members: dict[str, bytes]) -> str:
    return next(name for name in members if name.startswith("photos/"))


def leave_out(members: dict[str, bytes], name: str) -> None:
    del members[name]


def put_in(members: dict[str, bytes], name: str, content: bytes) -> None:
    statement = members.pop(STATEMENT)
    members |= {name: content, STATEMENT: statement}


FORGERIES: dict[str, Callable[[dict[str, bytes]], None]] = {
    "another database": lambda m: m.update({DATABASE: m[DATABASE] + b"\0"}),
    "a photo less": lambda m: leave_out(m, photo_of(m)),
    "another photo": lambda m: m.update({photo_of(m): b"another"}),
    "a photo more": lambda m: put_in(m, f"photos/{'0' * 36}/{'0' * 24}", b"more"),
    "a path upwards": lambda m: put_in(m, "photos/../../../escaped", b"more"),
    "no statement": lambda m: leave_out(m, STATEMENT),
    "another statement": lambda m: m.update({STATEMENT: b"e30.e30.e30"}),
    "another key inside": lambda m: m.update({KEY: bytes(32), **{n: m.pop(n) for n in (DATABASE, STATEMENT)}}),
    "another time": lambda m: m.update({HEADER: json.dumps(json.loads(m[HEADER]) | {"time": 1}).encode()}),
    "no sealed key": lambda m: m.update({HEADER: json.dumps(json.loads(m[HEADER]) | {"sealed_key": "00"}).encode()}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_archive_that_the_deployment_did_not_sign_is_refused(backup: bytes, target: Settings, forgery: str) -> None:
    assert forged(backup, lambda _: None) != backup
    with pytest.raises(SetupError):
        restore(forged(backup, FORGERIES[forgery]), target)
    check_empty(target)


def test_the_same_members_encrypted_anew_are_accepted(backup: bytes, target: Settings) -> None:
    restore(forged(backup, lambda _: None), target)
    check_restored(target)


def test_an_older_backup_is_named_so(source: Settings, backup: bytes, target: Settings) -> None:
    _, newer = back_up(source)
    with pytest.raises(SetupError, match=f"older than the seal that you kept.*you kept seal {newer.seal.number}"):
        restore(backup, target, kept=newer.seal)
    check_empty(target)
    with pytest.raises(SetupError, match="it is not yours"):
        restore(backup, target, kept=SealPlace(1, "0" * 64))
    check_empty(target)
    restore(backup, target, kept=newer.seal, older=True)
    check_restored(target)


def test_an_altered_trail_in_the_source_is_named(source: Settings, target: Settings, tmp_path: Path) -> None:
    bad = source.model_copy(update={"data_dir": tmp_path / "bad"})
    shutil.copytree(source.data_dir, bad.data_dir)
    trails.tamper(bad.data_dir, "UPDATE audit_records SET object = 'x' WHERE action = 'enrolment'")
    backup, _ = back_up(bad)
    with pytest.raises(SetupError, match=r"the audit trail in the backup was altered: .*was changed"):
        restore(backup, target)


def test_the_master_key_is_inside_only_if_asked_for(source: Settings, backup: bytes, tmp_path: Path) -> None:
    empty = test_settings(tmp_path / "empty")
    with pytest.raises(SetupError, match="put the deployment's key at"):
        restore(backup, empty)
    whole, _ = back_up(source, with_key=True)
    restore(whole, empty)
    assert empty.master_key_file.read_bytes() == source.master_key_file.read_bytes()
    check_restored(empty)


def test_another_deployment_s_key_opens_no_backup(backup: bytes, target: Settings, source: Settings) -> None:
    target.master_key_file.write_bytes(bytes(32))
    with pytest.raises(SetupError):
        restore(backup, target)
    whole, _ = back_up(source, with_key=True)
    with pytest.raises(SetupError, match="another master key"):
        restore(whole, target)
    with pytest.raises(SetupError, match="does not open with this key"):
        Restoration(target, [x25519.Identity.generate()]).run(BytesIO(backup), len(backup), silent)
    check_empty(target)


def test_a_photo_erased_meanwhile_is_no_fault_and_a_lost_one_is(
    source: Settings, target: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = source.model_copy(update={"data_dir": tmp_path / "changed"})
    shutil.copytree(source.data_dir, changed.data_dir)
    with closing(open_deployment(changed)) as deployment:
        found = deployment.database.read_now(
            lambda c: c.execute(select(gallery_entries.c.tenant_id, gallery_entries.c.image_id)).all()
        )
    (tenant_id, lost), (_, erased) = found[:2]
    copy = snapshot.copy_database

    def copy_then_erase(*arguments: Any) -> None:
        copy(*arguments)
        statement = f"UPDATE gallery_entries SET image_id = NULL WHERE image_id = '{erased}'"  # noqa: S608
        trails.tamper(changed.data_dir, statement)
        with closing(open_objects(changed.images_address)) as objects:
            for each in (lost, erased):
                asyncio.run(objects.delete(tenant_id, each))

    monkeypatch.setattr(snapshot, "copy_database", copy_then_erase)
    backup, report = back_up(changed)
    assert (report.photos, report.gone, report.missing) == (PEOPLE - 2, 1, 1)
    restore(backup, target)
    with closing(open_deployment(target)) as deployment:
        assert len(list(faults_in(deployment, gone=report.gone))) == 2
        assert list(faults_in(deployment, gone=2)) == []


def test_a_data_key_that_is_made_meanwhile_ends_the_backup(
    source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = source.model_copy(update={"data_dir": tmp_path / "changed"})
    shutil.copytree(source.data_dir, changed.data_dir)
    copy = snapshot.copy_database

    def copy_then_rotate(*arguments: Any) -> None:
        copy(*arguments)
        with closing(open_deployment(changed)) as deployment:
            (tenant,) = deployment.tenants.all()
            deployment.tenants.rotate_data_key(tenant.id)

    with monkeypatch.context() as patched:
        patched.setattr(snapshot, "copy_database", copy_then_rotate)
        with pytest.raises(SetupError, match="make it again"):
            back_up(changed)
    _, report = back_up(changed)  # the copy has both keys
    assert (report.photos, report.missing) == (PEOPLE, 0)


class Full(BytesIO):
    """A disk that takes no more after some bytes."""

    def write(self, content: Any, /) -> int:
        if self.tell() > 100_000:
            raise OSError(28, "No space left on device")
        return super().write(content)


def test_a_full_disk_ends_the_backup_with_its_cause(source: Settings) -> None:
    with (
        closing(open_deployment(source)) as deployment,
        pytest.raises(OSError, match="No space left"),
    ):
        Creation(deployment, [IDENTITY.to_public()]).run(Full(), silent)
    assert not list(source.data_dir.glob(f"{creation.WORK_PREFIX}*"))


@pytest.fixture
def of_commands(source: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(source.data_dir))
    monkeypatch.setenv("LIKENESS_PACK", "fake")

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_commands(
    of_commands: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Settings
) -> None:
    run, key, file = of_commands, str(tmp_path / "key"), str(tmp_path / "backup.age")
    public = run("backup", "key", key).strip()
    assert Path(key).stat().st_mode & 0o777 == 0o600
    made = run("backup", "create", file, "--recipient", public)
    seal = next(line for line in made.splitlines() if line.startswith("seal")).split()[1]
    assert f"entries  {PEOPLE}" in made
    with pytest.raises(InvalidInput, match="replaces none"):
        run("backup", "create", file, "--recipient", public)
    assert "The backup is whole." in run("backup", "verify", file, "--identity", key, "--seal", seal)
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "target"))
    monkeypatch.setenv("LIKENESS_KEY_FILE", str(source.master_key_file))
    assert "Restored." in run("restore", file, "--identity", key, "--seal", seal)
    check_restored(Settings())


def test_a_master_key_that_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, file = str(tmp_path / "key"), str(tmp_path / "backup.age")
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "source"))
    monkeypatch.setenv("LIKENESS_KEY_PROVIDER", "env")
    monkeypatch.setenv("LIKENESS_MASTER_KEY", base64.b64encode(bytes(range(32))).decode())

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("init")
    public = run("backup", "key", key).strip()
    with pytest.raises(InvalidInput, match="--with-key: the master key is in no file"):
        run("backup", "create", file, "--recipient", public, "--with-key")
    assert "a restore needs LIKENESS_KEY_PROVIDER=env" in run("backup", "create", file, "--recipient", public)
    assert "The backup is whole." in run("backup", "verify", file, "--identity", key)
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "target"))
    assert "Restored." in run("restore", file, "--identity", key)


@pytest.mark.parametrize("recipient", ["age1", "nonsense", "ssh-ed25519 AAAA", ""])
def test_a_wrong_recipient_is_explained(of_commands: Callable[..., str], tmp_path: Path, recipient: str) -> None:
    with pytest.raises(InvalidInput, match="takes a public key"):
        of_commands("backup", "create", str(tmp_path / "b"), "--recipient", recipient)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"AGE-SECRET-KEY-1X", b"\xff", b"-----BEGIN nothing"])
def test_a_wrong_identity_is_explained(of_commands: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "identity").write_bytes(content)
    (tmp_path / "backup").write_bytes(b"x")
    with pytest.raises(InvalidInput, match="holds no private key"):
        of_commands("restore", str(tmp_path / "backup"), "--identity", str(tmp_path / "identity"))


def test_a_backup_holds_few_photos_in_memory(source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of photos, the archive remembers none, and few are read in advance."""
    taken, most = 0, 0
    get, add = creation._get, ArchiveWriter.add_bytes

    async def count_get(*arguments: Any) -> bytes | None:
        nonlocal taken, most
        taken += 1
        most = max(most, taken)
        return await get(*arguments)

    def count_add(self: ArchiveWriter, name: str, content: bytes) -> None:
        nonlocal taken
        taken -= name.startswith("photos/")
        add(self, name, content)
        assert not vars(vars(self)["_tar"])["members"]

    monkeypatch.setattr(creation, "PHOTOS_AT_ONCE", 3)
    monkeypatch.setattr(creation, "_get", count_get)
    monkeypatch.setattr(ArchiveWriter, "add_bytes", count_add)
    back_up(source)
    assert 0 < most <= 3
