"""``likeness move`` between real databases and real image stores."""

import asyncio
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, func, insert, null, select, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from composition import composed, entries, picture
from likeness.cli import app
from likeness.deployment import initialise, open_deployment
from likeness.errors import SetupError
from likeness.kit.envelope import Cipher, new_data_key
from likeness.settings import Settings
from likeness.store import remote
from likeness.store.folder import PART, FolderStore
from likeness.store.images import ImageStore, open_objects, spaces_of
from likeness.store.move import moving
from likeness.store.move.photos import PhotoMove
from likeness.store.move.rows import NOT_MOVED, RowMove
from likeness.store.ownership import owned
from likeness.store.sharing.claim import EPOCH_FACT
from likeness.store.tables import (
    gallery_blocks,
    gallery_entries,
    gallery_templates,
    idempotency_keys,
    metadata,
    photo_attempts,
    photo_deletions,
    reindexes,
    session_results,
    webhook_deliveries,
    webhooks,
)
from s3_server import new_photos_url
from servers import test_settings

PLACES = list(itertools.product(["sqlite", "postgres"], ["folder", "s3"]))
QUICK = {
    ("sqlite", "folder", "postgres", "s3"),
    ("postgres", "s3", "sqlite", "folder"),
    ("sqlite", "s3", "sqlite", "s3"),
    ("postgres", "folder", "postgres", "folder"),
}
"""Rows and photos move apart: these four have every move of rows, and every move of photos."""
WAYS = [
    pytest.param(*way, marks=[] if way in QUICK else [pytest.mark.long])
    for way in ((*source, *target) for source in PLACES for target in PLACES)
]
PEOPLE = 3


@dataclass(frozen=True)
class Places:
    """Makes empty places for a deployment."""

    folder: Path
    request: pytest.FixtureRequest

    def new(self, name: str, database: str, photos: str) -> Settings:
        settings: dict[str, Any] = {}
        if database == "postgres":
            from postgres import new_database  # noqa: PLC0415  needs psycopg

            settings["database_url"] = new_database(self.request.getfixturevalue("postgres_server_url"))
        if photos == "s3":
            self.request.getfixturevalue("s3")
            settings["images_url"] = new_photos_url()
        return test_settings(self.folder / name, **settings)


@pytest.fixture
def places(tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    return Places(tmp_path, request)


def of(settings: Settings) -> dict[str, Any]:
    return {"database_url": settings.database_url, "images_url": settings.images_url}


def fill(settings: Settings) -> None:
    """Make a deployment with people, photos in use and in quarantine, and a newest key that is free again."""

    async def enrol() -> None:
        for person in range(PEOPLE):
            await gallery.service.insert(tenant, picture(person))
        last = await gallery.service.insert(tenant, picture(PEOPLE))
        await gallery.service.erase(tenant, last)
        stray = "strayphoto"
        images = ImageStore(settings.images_address)
        await images.put(tenant.id, stray, b"stray", tenant.cipher)
        await images.set_aside(tenant.id, stray)
        images.close()

    with composed(settings.data_dir, **of(settings)) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        gallery.galleries.rebuild(deployment.database, [tenant])
        asyncio.run(enrol())
        deployment.database.write_now(lambda c: add_rows(c, tenant.id))


def add_rows(connection: Connection, tenant_id: str) -> None:
    """Fill the tables that enrolments leave empty, also with nulls and with bytes of every value."""
    mine, blob = {"tenant_id": tenant_id}, bytes(range(256))
    rows: list[tuple[Table, dict[str, Any]]] = [
        (reindexes, {"pack": "fake", "state": "ended", "done": 1, "total": 1, "changed_at": 0.1, "report": null()}),
        (gallery_blocks, {"pack": "fake", "span": 1 << 40, "sealed_block": blob * 5000}),
        (photo_deletions, {"image_id": "gone", "entry_id": "entry"}),
        (
            idempotency_keys,
            {"key": "ключ \u2603", "request_digest": "d", "answer": {"a": [1.1, None]}, "served_hour": 2},
        ),
        (
            session_results,
            {"session_id": "s", "jti": "j", "sealed_jws": blob, "expires_at": 1 / 3, "image_expires_at": 2e9},
        ),
        (photo_attempts, {"id": "a", "digest": "d", "attempts": 3, "opened_at": 1 / 3}),
        (webhooks, {"sealed_target": blob, "changed_at": 0.3}),
        (
            webhook_deliveries,
            {"id": "d", "session_id": "s", "state": "open", "tries": 1, "give_up_at": 1e9, "created_at": 0.7},
        ),
    ]
    for table, row in rows:
        connection.execute(insert(table).values(mine | row))


def rows_of(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    engine = create_engine(settings.database_address)
    with engine.connect() as connection:
        rows = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in NOT_MOVED
        }
    engine.dispose()
    return rows


def photos_of(settings: Settings) -> dict[str, bytes | None]:
    async def read() -> dict[str, bytes | None]:
        return {
            f"{space}/{name}": await objects.get(space, name)
            for tenant_id in tenant_ids
            for space in spaces_of(tenant_id)
            async for page in objects.batches(space)
            for name in page
        }

    tenant_ids = [row[0] for row in rows_of(settings)["tenants"]]
    with closing(open_objects(settings.images_address)) as objects:
        return asyncio.run(read())


def files_of(folder: Path) -> dict[str, bytes]:
    """Give the hashes of files that hold data: not those of the lock, nor SQLite's empty log."""
    passing = ("owner.lock", "-shm", "-wal")
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(passing))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).digest() for file in files}


def state_of(settings: Settings) -> object:
    return files_of(settings.data_dir), rows_of(settings), photos_of(settings)


def environment_of(settings: Settings) -> dict[str, str]:
    named = {"DATABASE_URL": settings.database_url, "IMAGES_URL": settings.images_url}
    chosen = {f"LIKENESS_{name}": value for name, value in named.items() if value}
    return {"LIKENESS_DATA_DIR": str(settings.data_dir), "LIKENESS_PACK": "fake", **chosen}


def options_of(target: Settings) -> list[str]:
    named = {"--to-database-url": target.database_url, "--to-images-url": target.images_url}
    chosen = itertools.chain.from_iterable((option, value) for option, value in named.items() if value)
    return ["move", "--to-data-dir", str(target.data_dir), *chosen]


def move(source: Settings, target: Settings) -> str:
    environment = environment_of(source)
    if target.database_url:
        environment["LIKENESS_TO_DATABASE_URL"] = target.database_url
    options = options_of(target.model_copy(update={"database_url": None}))
    ended = CliRunner(env=environment).invoke(app, options, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def check_moved(source: Settings, target: Settings) -> None:
    """The target holds what the source holds, and works as it did."""
    assert rows_of(target) == rows_of(source)
    assert photos_of(target) == photos_of(source)
    with composed(target.data_dir, **of(target)) as (deployment, gallery):
        (tenant,) = deployment.tenants.all()
        gallery.galleries.rebuild(deployment.database, [tenant])
        assert entries(deployment, tenant) == PEOPLE

        async def use() -> None:
            for person in range(PEOPLE):
                assert (await gallery.service.search(tenant, picture(person))).found
            await gallery.service.insert(tenant, picture(PEOPLE + 1))

        asyncio.run(use())
        newest = deployment.database.read_now(lambda c: list(c.execute(select(gallery_entries.c.key)).scalars()))
        # Key 4 was that of a person who is erased.
        assert max(newest) == PEOPLE + 2


@pytest.mark.parametrize(("database", "photos", "to_database", "to_photos"), WAYS)
def test_every_place_moves_to_every_place(
    places: Places, database: str, photos: str, to_database: str, to_photos: str
) -> None:
    source, target = places.new("source", database, photos), places.new("target", to_database, to_photos)
    fill(source)
    before = state_of(source)
    told = move(source, target)
    assert "photos  4, copied now 4" in told
    assert state_of(source) == before
    check_moved(source, target)


def test_what_is_not_named_stays_where_it_is(places: Places) -> None:
    source, other = places.new("source", "sqlite", "folder"), places.new("other", "sqlite", "s3")
    fill(source)
    before = files_of(source.data_dir)
    runner = CliRunner(env=environment_of(source))
    ended = runner.invoke(app, ["move", "--to-images-url", str(other.images_url)], catch_exceptions=False)
    assert "photos  4, copied now 4" in ended.stdout
    assert "rows" not in ended.stdout.partition("The move")[0]
    assert files_of(source.data_dir) == before
    check_moved(source, source.model_copy(update={"images_url": other.images_url}))
    with pytest.raises(SetupError, match="the target is the source"):
        runner.invoke(app, ["move", "--to-data-dir", str(source.data_dir)], catch_exceptions=False)


class Killed(BaseException):
    """A kill, for the code under test."""


BREAKS: list[tuple[type | Any, str, int]] = [
    (PhotoMove, "begin", 1),
    (moving, "_mark", 0),
    (moving, "_mark", 1),
    (PhotoMove, "copy", 0),
    (PhotoMove, "copy", 1),
    (RowMove, "_put", 3),
    (RowMove, "copy", 1),
    (RowMove, "verify", 1),
    (PhotoMove, "finish", 0),
    (PhotoMove, "finish", 1),
    (moving.DeploymentMove, "_place_key", 1),
]
"""Where a move ends early: before the next call of a function, after so many calls."""


@pytest.mark.parametrize(("place", "name", "calls"), BREAKS)
def test_a_move_goes_on_where_it_was(
    places: Places, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, calls: int
) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "postgres", "s3")
    fill(source)
    before = state_of(source)
    real, count = getattr(place, name), itertools.count(1)

    def end_early(*arguments: Any, **named: Any) -> Any:
        nth = next(count)
        if not calls:
            raise Killed
        result = real(*arguments, **named)
        if nth == calls:
            if asyncio.iscoroutine(result):
                return end_after(result)
            raise Killed
        return result

    async def end_after(result: Any) -> None:
        await result
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(place, name, end_early)
        with pytest.raises(Killed):
            move(source, target)
    assert state_of(source) == before
    check_not_served(target)
    move(source, target)
    assert state_of(source) == before
    check_moved(source, target)
    with pytest.raises(SetupError, match="holds"):
        move(source, target)


def check_not_served(target: Settings) -> None:
    """No server takes a target whose move has not ended."""
    with pytest.raises(SetupError):
        open_deployment(target)


def test_a_move_into_a_folder_goes_on_after_a_photo_that_was_half_written(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places.new("source", "postgres", "s3"), places.new("target", "sqlite", "folder")
    fill(source)
    before = state_of(source)

    def half_written(self: FolderStore, space: str, name: str, content: bytes) -> None:
        part = self._open_space(space) / f"{name}{PART}"
        part.write_bytes(content[:10])
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "put", half_written)
        with pytest.raises(Killed):
            move(source, target)
    assert list(target.data_dir.rglob(f"*{PART}"))
    move(source, target)
    assert not list(target.data_dir.rglob(f"*{PART}"))
    assert state_of(source) == before
    check_moved(source, target)


def test_a_source_of_another_version_is_refused_and_not_upgraded(places: Places) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "sqlite", "folder")
    fill(source)
    engine = create_engine(source.database_address)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '985708885580'"))
    engine.dispose()
    before = files_of(source.data_dir)
    with pytest.raises(SetupError, match="another version"):
        move(source, target)
    assert files_of(source.data_dir) == before


def test_an_image_store_that_waits_for_its_photos_is_not_served(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "sqlite", "s3")
    fill(source)

    async def end_early(_: PhotoMove) -> None:
        raise Killed

    monkeypatch.setattr(PhotoMove, "finish", end_early)
    with pytest.raises(Killed):
        move(source, target)
    with closing(ImageStore(target.images_address)) as images, pytest.raises(SetupError, match="has not ended"):
        asyncio.run(images.probe())


def test_a_source_that_changed_since_is_followed(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "postgres", "s3")
    fill(source)
    with monkeypatch.context() as patched:
        patched.setattr(RowMove, "verify", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            move(source, target)
    with composed(source.data_dir) as (deployment, gallery):
        (tenant,) = deployment.tenants.all()
        gallery.galleries.rebuild(deployment.database, [tenant])

        async def change() -> None:
            entry_id = (await gallery.service.search(tenant, picture(0))).entry_id
            assert entry_id
            await gallery.service.erase(tenant, entry_id)
            await gallery.service.insert(tenant, picture(0))

        asyncio.run(change())
        deployment.database.write_now(lambda c: c.execute(reindexes.update().values(report={"pairs": 3}, done=7)))
    move(source, target)
    assert rows_of(target) == rows_of(source)
    assert photos_of(target) == photos_of(source)


def many(settings: Settings, people: int, photos: int) -> str:
    """Make a deployment with many rows, and photos of some of them. Give the tenant's id."""
    initialise(settings)
    with closing(open_deployment(settings)) as deployment:
        tenant = deployment.tenants.create("tenant")
        keys = range(1, people + 1)

        def add(connection: Any) -> None:
            row = {"tenant_id": tenant.id, "labels": {"a": [1, None]}, "quality": 50, "created_at": 0.1}
            connection.execute(insert(gallery_entries), [{**row, "key": key, "id": str(key)} for key in keys])
            sealed = {"pack": "fake@1", "sealed_template": bytes(600)}
            connection.execute(insert(gallery_templates), [{**sealed, "entry_key": key} for key in keys])

        deployment.database.write_now(add)
        cipher = Cipher({1: new_data_key()}, tenant.id)
        with closing(ImageStore(settings.images_address)) as images:

            async def put() -> None:
                for number in range(photos):
                    await images.put(tenant.id, f"photo{number}", b"photo" * 100, cipher)

            asyncio.run(put())
        return tenant.id


def entry_count(settings: Settings) -> int:
    """Count the entries in a database, which may have no tables yet."""
    engine = create_engine(settings.database_address)
    try:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(gallery_entries)).scalar_one())
    except DBAPIError:
        return 0
    finally:
        engine.dispose()


def photo_count(settings: Settings, tenant_id: str) -> int:
    async def count() -> int:
        return sum([len(page) async for page in objects.batches(tenant_id)])

    with closing(open_objects(settings.images_address)) as objects:
        return asyncio.run(count())


@pytest.mark.faults
@pytest.mark.long
def test_a_command_that_is_killed_midway_goes_on(places: Places) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "postgres", "s3")
    tenant_id = many(source, 10_000, 150)
    before = state_of(source)
    environment = os.environ | environment_of(source)
    command = [sys.executable, "-m", "likeness", *options_of(target)]
    # The first kill comes among the photos, the second among the rows.
    conditions: list[Callable[[], bool]] = [
        lambda: photo_count(target, tenant_id) >= 10,
        lambda: entry_count(target) >= 1000,
    ]
    copied = []
    for reached in conditions:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not reached():
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        copied.append((photo_count(target, tenant_id), entry_count(target)))
        check_not_served(target)
    # A busy machine may kill a little later, but each kill comes before the end.
    assert copied[0][0] >= 10
    assert copied[1][1] >= 1000
    assert "photos  150, copied now 0" in move(source, target)
    assert rows_of(target) == rows_of(source)
    assert photos_of(target) == photos_of(source)
    assert state_of(source) == before


def test_a_target_that_holds_something_is_refused(places: Places) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "postgres", "s3")
    fill(source)
    other = places.new("other", "postgres", "s3")
    fill(other)
    held = state_of(other)
    with pytest.raises(SetupError, match="database holds data already"):
        move(source, target.model_copy(update={"database_url": other.database_url}))
    again = places.new("again", "postgres", "folder")
    with pytest.raises(SetupError, match="image store holds something already"):
        move(source, again.model_copy(update={"images_url": other.images_url}))
    with pytest.raises(SetupError, match="another master key"):
        move(source, again.model_copy(update={"data_dir": other.data_dir}))
    foreign = create_engine(places.new("foreign", "postgres", "folder").database_address)
    with foreign.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE invoices (id INTEGER)")
    with pytest.raises(SetupError, match="tables of something else"):
        move(source, again.model_copy(update={"database_url": foreign.url.render_as_string(hide_password=False)}))
    foreign.dispose()
    assert state_of(other) == held


def test_a_target_of_another_move_is_refused(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = places.new("one", "sqlite", "folder"), places.new("other", "sqlite", "folder")
    target = places.new("target", "postgres", "s3")
    fill(one)
    fill(other)
    with monkeypatch.context() as patched:
        patched.setattr(RowMove, "verify", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            move(one, target)
    with pytest.raises(SetupError, match="part of another move"):
        move(other, target)
    with pytest.raises(SetupError, match="part of another move"):
        move(other, places.new("new", "postgres", "folder").model_copy(update={"images_url": target.images_url}))
    move(one, target)
    check_moved(one, target)


def test_nothing_moves_while_a_server_owns_source_or_target(places: Places) -> None:
    source, target = places.new("source", "postgres", "folder"), places.new("target", "postgres", "folder")
    fill(source)
    target.data_dir.mkdir()
    for folder in (source.data_dir, target.data_dir):
        with owned(folder), pytest.raises(SetupError, match="another process"):
            move(source, target)
    elsewhere = source.model_copy(update={"data_dir": places.folder / "elsewhere"})
    elsewhere.data_dir.mkdir()
    elsewhere.master_key_file.write_bytes(source.master_key_file.read_bytes())
    deployment = open_deployment(elsewhere)
    with deployment.owned(), pytest.raises(SetupError, match="runs on the source's PostgreSQL database"):
        move(source, target)
    assert EPOCH_FACT in dict(rows_of(source)["deployment"])
    other = places.new("other", "postgres", "folder")
    initialise(other)
    with open_deployment(other).owned(), pytest.raises(SetupError, match="runs on the target's PostgreSQL database"):
        move(source, target.model_copy(update={"database_url": other.database_url}))


def test_a_photo_that_arrives_altered_is_copied_again_and_a_store_that_insists_is_named(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places.new("source", "sqlite", "folder"), places.new("target", "sqlite", "s3")
    fill(source)
    real = remote.RemoteObjects.put
    altered: set[str] = set()

    async def put(self: remote.RemoteObjects, space: str, name: str, content: bytes) -> None:
        first = name not in altered
        altered.add(name)
        await real(self, space, name, content[:-1] if space and (first or insists) else content)

    monkeypatch.setattr(remote.RemoteObjects, "put", put)
    insists = True
    with pytest.raises(SetupError, match="does not give back"):
        move(source, target)
    insists = False
    move(source, target)
    check_moved(source, target)
    another = places.new("another", "sqlite", "s3")
    altered.clear()
    move(source, another)
    assert altered
    check_moved(source, another)


def test_a_password_is_in_no_message(places: Places) -> None:
    source = places.new("source", "sqlite", "folder")
    fill(source)
    for url in ("nonsense:secret", "foo://user:secret@host/name", "postgresql+psycopg://user:secret@127.0.0.1:1/name"):
        with pytest.raises(SetupError) as raised:
            move(source, test_settings(places.folder / "target", database_url=url))
        assert "secret" not in str(raised.value)
