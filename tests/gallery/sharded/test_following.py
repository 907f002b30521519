"""Galleries that several processes change, followed from a real PostgreSQL."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gallery import operations
from gallery.operations import NEW, OLD, PACKS, Rows, new_entry, new_gallery, stored
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.sharded.following import ChangeBatch, GalleryFollower, OutOfReach, changes_after, numbers_now
from likeness.store import migrations
from likeness.store.database import Database
from likeness.store.sharing.changes import ChangeKind, trim_changes
from likeness.store.sharing.listening import Listener
from likeness.tenants.repository import erase_tenant
from servers import wait_until


@dataclass
class Followed:
    """The rows that a follower has told of, by tenant. It checks the order of the numbers."""

    rows: dict[str, Rows] = field(default_factory=dict)
    packs: dict[str, GalleryPacks] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    loads: int = 0
    faults: list[str] = field(default_factory=list)
    failures_left: int = 0
    lost: bool = False

    def load(self, connection: Connection, tenant_id: str, packs: GalleryPacks) -> None:
        self.loads += 1
        self.rows[tenant_id] = {
            (row.key, pack): row.sealed_template
            for pack in PACKS
            for batch in GalleryRepository(tenant_id).templates(connection, pack, batch=100)
            for row in batch
        }
        self.packs[tenant_id] = packs
        self.numbers.update(numbers_now(connection, [tenant_id]))

    def apply(self, tenant_id: str, batch: ChangeBatch) -> None:
        if self.lost:
            raise OutOfReach
        rows = self.rows[tenant_id]
        for change in batch.changes:
            if change.number != self.numbers[tenant_id] + 1:
                self.faults.append(f"{change.number} came after {self.numbers[tenant_id]}")
            self.numbers[tenant_id] = change.number
            if self.failures_left:
                self.failures_left -= 1
                raise RuntimeError("the index failed")
            if change.entry_key is not None:
                for pack in [change.pack] if change.pack else PACKS:
                    rows.pop((change.entry_key, pack), None)
                for pack, sealed in change.sealed_templates.items():
                    rows[change.entry_key, pack] = sealed
        self.packs[tenant_id] = batch.packs

    def drop(self, tenant_id: str) -> None:
        self.rows.pop(tenant_id, None)
        self.packs.pop(tenant_id, None)
        self.numbers.pop(tenant_id, None)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    migrations.upgrade(postgres_url)
    database = Database(postgres_url)
    yield database
    database.close()


@pytest.fixture
def listener(database: Database) -> Iterator[Listener]:
    listener = Listener(database.url)
    yield listener
    listener.close()


def end_connections(database: Database) -> None:
    """Let the server end every connection to the database, other than the one that says so."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    database.read_now(lambda c: c.execute(text(f"SELECT pg_terminate_backend(pid) {others}")).all())


def is_equal(database: Database, followed: Followed, tenant_ids: Sequence[str]) -> bool:
    for tenant_id in tenant_ids:
        rows, packs = database.read_now(lambda c, tenant_id=tenant_id: stored(c, tenant_id))  # type: ignore[misc]
        mine = followed.packs.get(tenant_id)
        if rows != followed.rows.get(tenant_id, {}) or packs != (mine and (mine.pack, mine.shadow)):
            return False
    return True


def test_a_follower_ends_with_the_rows_that_two_processes_wrote_though_connections_are_lost(
    database: Database, listener: Listener
) -> None:
    tenants = [new_gallery(database).tenant_id for _ in range(2)]
    followed, stop = Followed(), threading.Event()
    reader = Database(database.url)
    follower = GalleryFollower(reader, listener, followed)
    follower.follow(tenants)
    following = threading.Thread(target=follower.run, args=(stop,))
    following.start()
    writers = [
        subprocess.Popen(
            [sys.executable, operations.__file__, database.url, tenant_id, str(seed), "300"],
            env=os.environ | {"PYTHONPATH": str(Path(operations.__file__).parents[1])},
            stdout=subprocess.PIPE,
        )
        for seed in range(2)
        for tenant_id in tenants
    ]
    starting = max(database.read_now(lambda c: numbers_now(c, tenants)).values())
    for more in range(1, 6):
        wait_until(lambda more=more: highest(database, tenants) >= starting + 40 * more, seconds=120)  # type: ignore[misc]
        end_connections(database)
    refused = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4
    assert sum(refused) > 0
    wait_until(lambda: follower.reached == numbers(database, tenants), seconds=120)
    stop.set()
    following.join(60)
    assert is_equal(database, followed, tenants)
    assert followed.faults == []
    assert followed.numbers == numbers(database, tenants)
    assert followed.loads == 2
    reader.close()


def numbers(database: Database, tenants: Sequence[str]) -> dict[str, int]:
    try:
        return database.read_now(lambda c: numbers_now(c, tenants))
    except ServiceUnavailable:  # this connection was ended, too
        return {}


def highest(database: Database, tenants: Sequence[str]) -> int:
    return max(numbers(database, tenants).values(), default=0)


def test_a_change_wakes_a_follower_that_waits(database: Database, listener: Listener) -> None:
    first, second = new_gallery(database), new_gallery(database)
    assert listener.wait(0).tenant_ids is None  # connected; all must be compared
    assert listener.wait(0).tenant_ids is None  # nothing came

    def work(connection: Connection) -> None:
        for rows in (first, second, first):
            rows.add(connection, new_entry())

    database.write_now(work)
    found: set[str] = set()
    while len(found) < 2:
        found |= listener.wait(60).tenant_ids or set()
    assert found == {first.tenant_id, second.tenant_id}


def test_a_change_between_two_connections_is_not_lost(database: Database, listener: Listener) -> None:
    rows, followed = new_gallery(database), Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow([rows.tenant_id])
    follower.step()
    own = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN likeness_gallery'"
    database.read_now(lambda c: c.execute(text(own)).all())
    with pytest.raises(ServiceUnavailable):
        follower.step(seconds=60)
    database.write_now(lambda c: rows.add(c, new_entry(*PACKS)))  # nobody listens
    follower.step(seconds=60)
    assert is_equal(database, followed, [rows.tenant_id])
    assert follower.reached == {rows.tenant_id: 2}
    assert followed.loads == 1


def test_a_follower_behind_the_log_loads_anew(database: Database, listener: Listener) -> None:
    rows, followed = new_gallery(database), Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow([rows.tenant_id])
    follower.step()
    for _ in range(5):
        database.write_now(lambda c: rows.add(c, new_entry()))
    database.write_now(lambda c: trim_changes(c, kept=2))
    follower.step()
    assert (followed.loads, follower.reached) == (2, {rows.tenant_id: 6})
    assert is_equal(database, followed, [rows.tenant_id])


def test_an_index_that_failed_is_loaded_anew(database: Database, listener: Listener) -> None:
    rows, followed = new_gallery(database), Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow([rows.tenant_id])
    follower.step()
    followed.failures_left = 1
    database.write_now(lambda c: rows.add(c, new_entry()))
    with pytest.raises(RuntimeError):
        follower.step()
    assert follower.reached == {}
    follower.step()
    assert followed.loads == 2
    assert is_equal(database, followed, [rows.tenant_id])


def test_an_erased_tenant_and_one_that_is_no_longer_followed_are_dropped(
    database: Database, listener: Listener
) -> None:
    erased, left, stays = (new_gallery(database) for _ in range(3))
    followed = Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow([rows.tenant_id for rows in (erased, left, stays)])
    follower.step()
    database.write_now(lambda c: erase_tenant(c, erased.tenant_id))
    follower.step(seconds=60)
    assert followed.rows.keys() == {left.tenant_id, stays.tenant_id}
    follower.follow([stays.tenant_id, erased.tenant_id])
    follower.step()
    assert followed.rows.keys() == follower.reached.keys() == {stays.tenant_id}


def test_a_follower_of_all_finds_new_galleries_and_loses_erased_ones(database: Database, listener: Listener) -> None:
    old, followed = new_gallery(database), Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow_all()
    follower.step()
    new = new_gallery(database)
    follower.step(seconds=60)
    assert followed.rows.keys() == follower.reached.keys() == {old.tenant_id, new.tenant_id}
    database.write_now(lambda c: erase_tenant(c, old.tenant_id))
    follower.follow_all()  # compares all numbers
    follower.step()
    assert followed.rows.keys() == {new.tenant_id}
    database.write_now(lambda c: new.add(c, new_entry()))
    follower.follow([old.tenant_id])
    assert followed.rows.keys() == set()


def test_an_index_that_cannot_go_on_is_loaded_anew(database: Database, listener: Listener) -> None:
    rows, followed = new_gallery(database), Followed()
    follower = GalleryFollower(database, listener, followed)
    follower.follow_all()
    follower.step()
    followed.lost = True
    database.write_now(lambda c: rows.add(c, new_entry()))
    follower.step(seconds=60)
    assert (followed.loads, follower.reached) == (2, {rows.tenant_id: 2})
    assert is_equal(database, followed, [rows.tenant_id])


def test_a_batch_has_the_templates_of_its_changes(database: Database) -> None:
    rows = new_gallery(database)
    kept, gone = new_entry(*PACKS), new_entry()

    def work(connection: Connection) -> tuple[int, int]:
        keys = rows.add(connection, kept), rows.add(connection, gone)
        rows.erase(connection, gone.id)
        rows.drop_template(connection, keys[0], OLD)
        rows.set_packs(connection, GalleryPacks(NEW, OLD))
        return keys

    key, erased = database.write_now(work)
    batch = database.read_now(lambda c: changes_after(c, rows.tenant_id, 1))
    told = [(each.number, each.kind, each.entry_key, each.entry_id, each.pack) for each in batch.changes]
    assert told == [
        (2, ChangeKind.ADDED, key, kept.id, None),
        (3, ChangeKind.ADDED, erased, None, None),
        (4, ChangeKind.ERASED, erased, None, None),
        (5, ChangeKind.TEMPLATE_DROPPED, key, kept.id, OLD),
        (6, ChangeKind.PACKS, None, None, None),
    ]
    found: list[dict[PackIdentity, bytes]] = [dict(each.sealed_templates) for each in batch.changes]
    assert found == [{NEW: kept.sealed_templates[NEW]}, {}, {}, {}, {}]
    assert (batch.packs, batch.newest) == (GalleryPacks(NEW, OLD), 6)
    some = database.read_now(lambda c: changes_after(c, rows.tenant_id, 2, limit=2))
    assert ([each.number for each in some.changes], some.newest) == ([3, 4], 6)
    nothing = database.read_now(lambda c: changes_after(c, rows.tenant_id, 6))
    assert nothing.changes == ()
    for number in (7, 100):
        with pytest.raises(OutOfReach):
            database.read_now(lambda c, number=number: changes_after(c, rows.tenant_id, number))  # type: ignore[misc]
