"""The log of the galleries' changes, on a real PostgreSQL: it has every change of a gallery, and nothing else."""

import ast
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event, insert, select
from sqlalchemy.exc import IntegrityError

import likeness
from gallery.operations import NEW, OLD, OPERATIONS, PACKS, any_bytes, new_entry, new_gallery, stored
from likeness.errors import ServiceUnavailable
from likeness.gallery.repository import GalleryRepository
from likeness.store import engines, migrations
from likeness.store.database import Database
from likeness.store.sharing import changes
from likeness.store.sharing.changes import ChangeKind
from likeness.store.tables import galleries, gallery_changes, tenants
from likeness.tenants.repository import erase_tenant
from postgres import new_database


@pytest.fixture(scope="module")
def database(postgres_server_url: str) -> Iterator[Database]:
    url = new_database(postgres_server_url)
    migrations.upgrade(url)
    database = Database(url)
    yield database
    database.close()


def logged(connection: Connection, tenant_id: str) -> list[tuple[int, ChangeKind, int | None, str | None]]:
    query = select(*(gallery_changes.c[name] for name in ("number", "kind", "entry_key", "pack")))
    mine = query.where(gallery_changes.c.tenant_id == tenant_id).order_by(gallery_changes.c.number)
    return [(number, ChangeKind(kind), key, pack) for number, kind, key, pack in connection.execute(mine)]


def number(connection: Connection, tenant_id: str) -> int:
    return connection.execute(select(galleries.c.number).where(galleries.c.tenant_id == tenant_id)).scalar_one()


Step = tuple[str, int, int, bool]
STEPS = st.tuples(
    st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), st.integers(0, 1), st.integers(0, 3).map(bool)
)


@pytest.mark.parametrize("pack", [0, 1])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_log_tells_what_a_change_did(database: Database, name: str, which: int, pack: int) -> None:
    rows = new_gallery(database)
    for packs in ((OLD,), (NEW,), PACKS):
        database.write_now(lambda c, packs=packs: rows.add(c, new_entry(*packs)))  # type: ignore[misc]
    carry_out(database, rows, [(name, which, pack, True)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=8))
def test_the_log_tells_what_any_changes_did(database: Database, groups: list[list[Step]]) -> None:
    rows = new_gallery(database)
    for group in groups:
        carry_out(database, rows, group)


def carry_out(database: Database, rows: GalleryRepository, group: list[Step]) -> None:
    """Run changes in one transaction, some of which fail. Compare the difference of the rows with the new log."""
    before, packs_before = database.read_now(lambda c: stored(c, rows.tenant_id))
    newest = database.read_now(lambda c: number(c, rows.tenant_id))

    def work(connection: Connection) -> None:
        for name, which, pack, succeeds in group:
            keys = [entry.key for entry in rows.page(connection, after_key=0, limit=100)]
            keys = keys[which % len(keys) :] if keys else []
            place = changes.mark(connection)
            with connection.begin_nested() as savepoint:
                OPERATIONS[name](connection, rows, keys, PACKS[pack], any_bytes)
                if not succeeds:
                    savepoint.rollback()
                    changes.go_back(connection, place)

    database.write_now(work, gallery_of=rows.tenant_id)
    after, packs_after = database.read_now(lambda c: stored(c, rows.tenant_id))
    log = [each for each in database.read_now(lambda c: logged(c, rows.tenant_id)) if each[0] > newest]
    last = database.read_now(lambda c: number(c, rows.tenant_id))
    assert [each[0] for each in log] == [*range(newest + 1, last + 1)]
    named = {
        (key, each)
        for _, kind, key, pack in log
        if kind is not ChangeKind.PACKS
        for each in ([pack] if pack else PACKS)
    }
    differ = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    assert differ <= named
    if len(group) == 1:
        assert {key for key, _ in named} == {key for key, _ in differ}
    assert packs_before == packs_after or any(kind is ChangeKind.PACKS for _, kind, _, _ in log)


def test_every_method_that_writes_a_gallery_locks_it_and_notes_the_change() -> None:
    source = (Path(likeness.__file__).parent / "gallery" / "repository.py").read_text()
    assert _unnoted(source) == {"forget_image", "hold"}  # an index knows no photos, and no legal holds


def test_only_the_repository_writes_what_an_index_must_know() -> None:
    package = Path(likeness.__file__).parent
    writers = {
        module.relative_to(package).as_posix(): found
        for module in package.rglob("*.py")
        if "migrations" not in module.parts and (found := _writers(module.read_text()))
    }
    writers.pop("gallery/repository.py")
    assert writers == {"store/sharing/changes.py": {""}}  # its statement raises the gallery's number


WRITES = {"insert", "update", "delete", "PreparedInsert"}
TABLES = {"galleries", "gallery_entries", "gallery_templates"}
SQL = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM)\s+(galler\w+)", re.IGNORECASE)


def _writers(source: str) -> set[str]:
    """Give the functions of a module that write one of these tables, and ``""`` for its top level."""
    tree, found = ast.parse(source), set()
    prepared = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _writes(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(_writes(node, prepared) for node in ast.walk(function)):
            found.add(function.name)
    return found | ({""} if prepared or SQL.search(source) else set())


def _writes(node: ast.AST, prepared: set[str]) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
        return False
    if isinstance(node.func, ast.Name):
        first = node.args[0] if node.args else None
        named = isinstance(first, ast.Name) and first.id in TABLES
        return node.func.id in prepared or (node.func.id in WRITES and named)
    return node.func.attr in WRITES and isinstance(node.func.value, ast.Name) and node.func.value.id in TABLES


def _unnoted(source: str) -> set[str]:
    """Give the functions that write, but note no change or do not lock the gallery first."""
    writers, found = _writers(source), set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name in writers:
            called = {
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                for node in ast.walk(function)
                if isinstance(node, ast.Call)
            }
            assert "lock" in called, function.name
            if not called & {"_note", "note_changes"}:
                found.add(function.name)
    return found


def test_a_faulty_change_of_a_group_leaves_no_gap(database: Database) -> None:
    rows = new_gallery(database)
    held, begun = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        assert held.wait(60)

    holder = threading.Thread(target=database.write_now, args=(hold,))
    holder.start()
    assert begun.wait(60)
    refused: list[Exception] = []

    def add(external_id: str) -> None:
        try:
            entry = new_entry(external_id=external_id)
            database.write_now(lambda c: rows.add(c, entry), gallery_of=rows.tenant_id)
        except IntegrityError as error:
            refused.append(error)

    callers = [threading.Thread(target=add, args=(name,)) for name in ("a", "b", "a", "c")]
    for caller in callers:
        caller.start()
    held.set()
    for caller in (holder, *callers):
        caller.join(60)
    log = database.read_now(lambda c: logged(c, rows.tenant_id))
    assert len(refused) == 1
    assert [each[:2] for each in log] == [(1, ChangeKind.PACKS), *((n, ChangeKind.ADDED) for n in (2, 3, 4))]


def test_an_entry_before_the_gallery_has_packs_is_refused(database: Database) -> None:
    rows = new_gallery(database)

    def work(connection: Connection) -> None:
        erase_tenant(connection, rows.tenant_id)
        connection.execute(insert(tenants).values(id=rows.tenant_id, name=rows.tenant_id, settings={}, created_at=0))
        rows.add(connection, new_entry())

    with pytest.raises(LookupError, match="must have its packs"):
        database.write_now(work)


def test_an_erased_tenant_takes_its_log_along(database: Database) -> None:
    rows, other = new_gallery(database), new_gallery(database)
    database.write_now(lambda c: rows.add(c, new_entry()))

    def work(connection: Connection) -> None:
        other.add(connection, new_entry())
        rows.add(connection, new_entry())
        erase_tenant(connection, rows.tenant_id)

    database.write_now(work)
    assert database.read_now(lambda c: (logged(c, rows.tenant_id), stored(c, rows.tenant_id))) == ([], ({}, None))
    assert len(database.read_now(lambda c: logged(c, other.tenant_id))) == 2


def test_two_processes_that_change_galleries_in_opposite_orders_both_succeed(database: Database) -> None:
    first, second = new_gallery(database), new_gallery(database)
    other = Database(database.url)
    met = threading.Barrier(2, timeout=60)

    def both(one: GalleryRepository, two: GalleryRepository) -> Callable[[Connection], None]:
        waits = iter([True])

        def work(connection: Connection) -> None:
            one.add(connection, new_entry())
            if next(waits, False):
                met.wait()
            two.add(connection, new_entry())

        return work

    caller = threading.Thread(target=lambda: other.write_now(both(second, first)))
    caller.start()
    database.write_now(both(first, second))  # PostgreSQL ends one of the two, which runs again
    caller.join(60)
    other.close()
    for rows in (first, second):
        assert [each[0] for each in database.read_now(lambda c, r=rows: logged(c, r.tenant_id))] == [1, 2, 3]  # type: ignore[misc]


def test_groups_of_two_processes_lock_galleries_in_one_order(database: Database) -> None:
    galleries = [new_gallery(database) for _ in range(4)]
    processes = [Database(database.url) for _ in range(2)]
    errors: list[object] = []

    def add_some(process: Database, order: list[GalleryRepository]) -> None:
        for rows in order * 10:
            process.write_now(lambda c, rows=rows: rows.add(c, new_entry()), gallery_of=rows.tenant_id)  # type: ignore[misc]

    callers = []
    for process in processes:
        event.listen(process._writer.engine, "handle_error", errors.append)
        for start in range(4):
            order = [*galleries[start:], *galleries[:start]]
            callers += [threading.Thread(target=add_some, args=(process, each)) for each in (order, order[::-1])]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert errors == []
    for rows in galleries:
        log = database.read_now(lambda c, rows=rows: logged(c, rows.tenant_id))  # type: ignore[misc]
        assert [each[0] for each in log] == [*range(1, 162)]
    for process in processes:
        process.close()


def test_keys_rise_in_the_order_of_the_numbers(database: Database) -> None:
    rows = new_gallery(database)
    others = [Database(database.url) for _ in range(2)]

    def add_some(each: Database) -> None:
        for _ in range(20):
            each.write_now(lambda c: rows.add(c, new_entry()), gallery_of=rows.tenant_id)

    callers = [threading.Thread(target=add_some, args=(each,)) for each in others]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    log = database.read_now(lambda c: logged(c, rows.tenant_id))
    keys = [key for _, kind, key, _ in log if kind is ChangeKind.ADDED]
    assert [each[0] for each in log] == [*range(1, 42)]
    assert keys == sorted(key for key in keys if key is not None)
    for each in others:
        each.close()


def test_a_paused_process_does_not_keep_a_gallery_locked(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LONGEST_IDLE_MILLISECONDS", 200)
    rows, paused = new_gallery(database), Database(database.url)

    def work(connection: Connection) -> None:
        rows.add(connection, new_entry())
        database.write_now(lambda c: rows.add(c, new_entry()))  # waits until the database ends this transaction
        rows.add(connection, new_entry())

    with pytest.raises(ServiceUnavailable):
        paused.write_now(work)
    assert [each[0] for each in database.read_now(lambda c: logged(c, rows.tenant_id))] == [1, 2]
    paused.write_now(lambda c: rows.add(c, new_entry()))
    assert [each[0] for each in database.read_now(lambda c: logged(c, rows.tenant_id))] == [1, 2, 3]
    paused.close()


def test_a_trim_keeps_the_newest_changes(database: Database) -> None:
    database.write_now(lambda c: c.execute(delete(gallery_changes)))
    rows, short = new_gallery(database), new_gallery(database)
    for _ in range(9):
        database.write_now(lambda c: rows.add(c, new_entry()))
    assert database.write_now(lambda c: changes.trim_changes(c, kept=3, limit=4)) == 4
    assert database.write_now(lambda c: changes.trim_changes(c, kept=3, limit=4)) == 3
    assert database.write_now(lambda c: changes.trim_changes(c, kept=3, limit=4)) == 0
    assert [each[0] for each in database.read_now(lambda c: logged(c, rows.tenant_id))] == [8, 9, 10]
    assert len(database.read_now(lambda c: logged(c, short.tenant_id))) == 1
