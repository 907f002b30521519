"""Group commit on a real SQLite file."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, event, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from composition import empty_database
from likeness.errors import ServiceUnavailable
from likeness.store.database import Database
from likeness.store.writer import GROUP_LIMIT, Change, Committed

notes = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", Text, nullable=False))


class Refused(Exception):
    pass


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    database = Database(empty_database(folder / "db.sqlite3"))
    database.write_now(notes.create)
    yield database
    database.close()


def put(number: int, text: str = "") -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(insert(notes).values(id=number, text=text))
        return number

    return work


def refuse(connection: Connection) -> None:
    connection.execute(insert(notes).values(id=-1, text="never"))
    raise Refused


def ids(database: Database) -> list[int]:
    return database.read_now(lambda c: list(c.execute(select(notes.c.id).order_by(notes.c.id)).scalars()))


@contextmanager
def held(database: Database) -> Iterator[list[int]]:
    """Hold up the writer, so that changes wait together. Give the number of commits afterwards."""
    go, entered, commits = threading.Event(), threading.Event(), [0]

    def wait(_: Connection) -> None:
        entered.set()
        go.wait(10)

    holding = threading.Thread(target=database.write_now, args=(wait,))
    holding.start()
    entered.wait(10)

    def count(_: Connection) -> None:
        commits[0] += 1

    try:
        yield commits
    finally:
        event.listen(database._writer.engine, "commit", count)
        go.set()
        holding.join()


def submit(database: Database, *works: Callable[[Connection], Any], **options: Any) -> list[Any]:
    options = {"after_commit": None, "exclusive": False, "gallery_of": None, "lease": None} | options
    changes = [Change(work, done=Future(), **options) for work in works]
    for change in changes:
        database._writer.enqueue(change)
    return [change.done for change in changes]


def noting(fed: list[Any]) -> Callable[[Committed[Any]], None]:
    """Give an ``after_commit`` that notes the results."""
    return lambda committed: fed.append(committed.result)


def test_changes_that_wait_together_are_committed_together(database: Database) -> None:
    with held(database) as commits:
        done = submit(database, *map(put, range(100)))
    assert [future.result() for future in done] == list(range(100))
    assert ids(database) == list(range(100))
    assert commits[0] == 2  # the change that held up the writer, and the hundred


def test_a_group_has_a_limit(database: Database) -> None:
    with held(database) as commits:
        done = submit(database, *map(put, range(GROUP_LIMIT + 10)))
    for future in done:
        future.result()
    assert commits[0] == 3


def test_a_faulty_change_is_refused_alone(database: Database) -> None:
    with held(database):
        done = submit(database, put(1), refuse, put(2), put(1, "taken"), put(3))
    assert [type(future.exception()) for future in done] == [
        type(None),
        Refused,
        type(None),
        IntegrityError,
        type(None),
    ]
    assert ids(database) == [1, 2, 3]


def test_a_single_faulty_change_leaves_nothing(database: Database) -> None:
    with pytest.raises(Refused):
        database.write_now(refuse)
    with pytest.raises(IntegrityError):
        database.write_now(lambda c: (put(1)(c), put(1)(c)))
    assert ids(database) == []
    assert database.write_now(put(1)) == 1


def test_what_was_bound_to_a_failed_statement_is_in_no_message(database: Database) -> None:
    database.write_now(put(1))
    with pytest.raises(IntegrityError) as refused:
        database.write_now(put(1, "somebody's name"))
    assert "somebody's name" not in str(refused.value)


def fill_up(database: Database) -> None:
    """Let the database file take no further page."""
    database.write_now(
        lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {c.exec_driver_sql('PRAGMA page_count').scalar()}")
    )


def make_room(database: Database) -> None:
    database.write_now(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000"))


def test_a_log_that_went_with_the_last_connection_is_not_taken_for_a_removed_one(database: Database) -> None:
    database.write_now(put(1))
    database._readers.dispose()  # so that the writer has the only connection: SQLite deletes the log with the last one
    fill_up(database)
    with pytest.raises(ServiceUnavailable):
        database.write_now(put(2, "x" * 100_000))
    assert database.write_now(put(3)) == 3
    assert ids(database) == [1, 3]


def test_a_full_disk_refuses_the_whole_group_and_loses_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.write_now(put(1))
    fill_up(database)
    fed: list[int] = []
    with held(database):
        done = submit(
            database, put(2), refuse, put(1, "taken"), put(3, "x" * 100_000), put(4), after_commit=noting(fed)
        )
    for future in done:
        error = future.exception()
        # The second and third change failed for other reasons too, but in a group that was not committed.
        assert isinstance(error, ServiceUnavailable)
        assert error.headers["Retry-After"]
    assert fed == []
    assert ids(database) == [1]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "5 changes were refused: database or disk is full" in record.getMessage()
    assert database.write_now(put(5)) == 5  # a change that needs no further page still works
    make_room(database)
    assert database.write_now(put(3, "x" * 100_000)) == 3
    assert ids(database) == [1, 3, 5]


def test_a_database_that_cannot_be_written_or_read_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'none' / 'db.sqlite3'}")
    with pytest.raises(ServiceUnavailable, match="cannot take this now"):
        database.write_now(put(1))
    with pytest.raises(ServiceUnavailable, match="cannot be read now"):
        database.read_now(lambda c: c.execute(select(1)))
    assert "unable to open" in caplog.text
    database.close()


def test_too_many_readers_on_threads_are_refused(tmp_path: Path) -> None:
    database = Database(empty_database(tmp_path / "db.sqlite3"), readers=1)
    database._readers.pool._timeout = 0.01  # type: ignore[attr-defined]
    with pytest.raises(ServiceUnavailable), database._readers.connect():
        database.read_now(lambda c: c.execute(select(1)))
    database.close()


def test_a_readers_own_fault_is_its_own(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        database.read_now(lambda _: 1 // 0)
    with pytest.raises(ServiceUnavailable):
        database.read_now(put(1))  # readers cannot write
    assert ids(database) == []


def test_what_follows_a_commit_runs_in_its_order_and_before_the_answer(database: Database) -> None:
    fed: list[int] = []

    def feed(committed: Committed[int]) -> None:
        number = committed.result
        assert number in ids(database)  # durable by now
        time.sleep(0.001)
        fed.append(number)

    with held(database):
        done = [future for number in range(20) for future in submit(database, put(number), after_commit=feed)]
        refused = submit(database, refuse, after_commit=noting(fed))[0]
    for number, future in enumerate(done):
        assert future.result() == number
        assert fed[: number + 1] == list(range(number + 1))
    assert isinstance(refused.exception(), Refused)
    assert fed == list(range(20))


def test_a_failure_after_the_commit_is_reported_and_the_writer_lives_on(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError):
        database.write_now(put(1), after_commit=lambda _: 1 // 0)  # type: ignore[arg-type]
    assert "was committed" in caplog.text
    assert database.write_now(put(2)) == 2
    assert ids(database) == [1, 2]


def test_a_change_alone_sees_what_was_before_it_done_and_what_is_behind_it_not_begun(database: Database) -> None:
    fed: list[int] = []
    seen: list[tuple[list[int], list[int]]] = []

    def look(connection: Connection) -> int:
        seen.append((list(fed), list(connection.execute(select(notes.c.id)).scalars())))
        return -1

    with held(database) as commits:
        done = [
            *submit(database, put(1), put(2), after_commit=noting(fed)),
            *submit(database, look, after_commit=noting(fed), exclusive=True),
            *submit(database, look, after_commit=noting(fed), exclusive=True),
            *submit(database, put(3), put(4), after_commit=noting(fed)),
        ]
    for future in done:
        future.result()
    assert seen == [([1, 2], [1, 2]), ([1, 2, -1], [1, 2])]
    assert fed == [1, 2, -1, -1, 3, 4]
    assert commits[0] == 5


def test_a_caller_that_leaves_does_not_undo_its_change(database: Database) -> None:
    fed: list[int] = []

    async def main() -> None:
        with held(database):
            caller = asyncio.ensure_future(database.write(put(1), after_commit=noting(fed)))
            await asyncio.sleep(0.01)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        await database.write(put(2))

    asyncio.run(main())
    assert ids(database) == [1, 2]
    assert fed == [1]


def test_a_caller_whose_event_loop_is_gone_does_not_stop_the_writer(database: Database) -> None:
    async def leave() -> None:
        asyncio.ensure_future(database.write(put(1)))  # noqa: RUF006  cancelled with the loop
        await asyncio.sleep(0)

    with held(database):
        asyncio.run(leave())
    assert database.write_now(put(2)) == 2
    assert ids(database) == [1, 2]


def test_closing_carries_out_what_is_queued_and_refuses_what_comes_after(tmp_path: Path) -> None:
    database = Database(empty_database(tmp_path / "db.sqlite3"))
    database.write_now(notes.create)
    done: list[Future[Any]] = []
    with held(database):
        done += submit(database, *map(put, range(5)))
        closing = threading.Thread(target=database.close)
        closing.start()
        while not database._writer._closed:
            time.sleep(0.001)
        with pytest.raises(ServiceUnavailable, match="stopping"):
            database.write_now(put(9))
    closing.join()
    assert [future.result() for future in done] == list(range(5))
    with opened_again(tmp_path) as again:
        assert ids(again) == list(range(5))


@contextmanager
def opened_again(folder: Path) -> Iterator[Database]:
    database = Database(empty_database(folder / "db.sqlite3"))
    yield database
    database.close()


def test_many_threads_and_tasks_lose_no_change(database: Database) -> None:
    database.write_now(put(0, "0"))

    def count_up(connection: Connection) -> None:
        text = connection.execute(select(notes.c.text).where(notes.c.id == 0)).scalar_one()
        connection.execute(update(notes).where(notes.c.id == 0).values(text=str(int(text) + 1)))

    async def tasks() -> None:
        await asyncio.gather(*(database.write(count_up) for _ in range(200)))
        assert await database.read(lambda c: c.execute(select(func.count()).select_from(notes)).scalar_one()) == 1

    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(database.write_now, count_up) for _ in range(200)]
        asyncio.run(tasks())
        for each in running:
            each.result()
    assert database.read_now(lambda c: c.execute(select(notes.c.text)).scalar_one()) == "400"


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["put", "refuse", "alone"])), max_size=8), max_size=5
    )
)
def test_any_history_ends_as_if_its_changes_came_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, history: Any
) -> None:
    expected: dict[int, str] = {}
    fed: list[str] = []
    feeds: list[str] = []
    with opened(tmp_path_factory.mktemp("history")) as database:
        for step, group in enumerate(history):
            done = []
            with held(database):
                for place, (number, kind) in enumerate(group):
                    text = f"{step}.{place}"

                    def work(connection: Connection, number: int = number, text: str = text, kind: str = kind) -> str:
                        put(number, text)(connection)
                        if kind == "refuse":
                            raise Refused
                        return text

                    done += submit(database, work, after_commit=noting(fed), exclusive=kind == "alone")
            for (number, kind), future, place in zip(group, done, range(len(group)), strict=True):
                error = future.exception()
                if number in expected:
                    assert isinstance(error, IntegrityError)
                elif kind == "refuse":
                    assert isinstance(error, Refused)
                else:
                    assert error is None
                    expected[number] = f"{step}.{place}"
                    feeds.append(f"{step}.{place}")
        assert dict(database.read_now(lambda c: c.execute(select(notes.c.id, notes.c.text)).all())) == expected
        assert fed == feeds


def test_a_change_that_waits_for_another_is_refused_and_does_not_hang(database: Database) -> None:
    with pytest.raises(RuntimeError, match="cannot wait"):
        database.write_now(lambda _: database.write_now(put(1)))
    assert database.write_now(put(2)) == 2
    assert ids(database) == [2]
