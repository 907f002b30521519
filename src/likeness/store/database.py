"""One writer that commits in groups, and pooled readers.

A commit costs one fdatasync however many changes it carries, so changes that wait together share one transaction, each in a
savepoint of its own. What a change leaves to do once it is durable (``after_commit``: feeding the index) runs on the writer's
thread in commit order, before the caller is answered: an answer implies both, and the index sees the database's own order.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from likeness.errors import ServiceUnavailable
from likeness.kit.executors import SizedExecutor

T = TypeVar("T")
GROUP_LIMIT = 256
READERS = 4


@dataclass(frozen=True, slots=True)
class _Change:
    work: Callable[[Connection], Any]
    after_commit: Callable[[Any], None] | None
    done: "Future[Any]"


class Database:
    """The deployment's database, SQLite or PostgreSQL, reached with SQLAlchemy Core."""

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self.url = url
        self._writer = _engine(url, pool_size=1, read_only=False)
        self._readers = _engine(url, pool_size=readers, read_only=True)
        self._pool = SizedExecutor("database-reader", workers=readers, queue_limit=1024)
        self._waiting: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_groups, name="database-writer", daemon=True)
        self._thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a pooled read-only connection."""
        return await self._pool.run(self.read_now, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run a query on this thread; for start-up and commands."""
        try:
            with self._readers.connect() as connection:
                return query(connection)
        except OperationalError as error:
            raise _unavailable(error) from error

    async def write(self, work: Callable[[Connection], T], *, after_commit: Callable[[T], None] | None = None) -> T:
        """Run a change, durable when this returns. ``work`` runs on the writer's thread: it must be quick.

        Raises what ``work`` raises (nothing is then written), IntegrityError, and ServiceUnavailable when the disk refuses.
        """
        return await asyncio.wrap_future(self._enqueue(work, after_commit))

    def write_now(self, work: Callable[[Connection], T], *, after_commit: Callable[[T], None] | None = None) -> T:
        """Run a change and wait on this thread; for start-up, commands and worker threads."""
        return self._enqueue(work, after_commit).result()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._pool.close()
        self._writer.dispose()
        self._readers.dispose()

    def _enqueue(self, work: Callable[[Connection], T], after_commit: Callable[[T], None] | None) -> "Future[T]":
        done: Future[T] = Future()
        # Once queued a change is carried out: a caller that goes away must not leave the index behind the database.
        done.set_running_or_notify_cancel()
        self._waiting.put(_Change(work, after_commit, done))
        return done

    def _write_groups(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group = [first]
            last = False
            while len(group) < GROUP_LIMIT:
                try:
                    change = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if change is None:
                    last = True
                    break
                group.append(change)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Change]) -> None:
        outcomes: list[_Outcome] = []
        try:
            with self._writer.begin() as connection:
                outcomes.extend(_carry_out(change, connection) for change in group)
        except Exception as error:  # noqa: BLE001  the writer's thread must outlive any fault
            refusal = _unavailable(error)
            told = {id(outcome.change) for outcome in outcomes if outcome.failure}
            outcomes = [outcome for outcome in outcomes if outcome.failure]
            outcomes += [_Outcome(change, failure=refusal) for change in group if id(change) not in told]
        for outcome in outcomes:
            outcome.tell()


@dataclass(frozen=True, slots=True)
class _Outcome:
    change: _Change
    result: Any = None
    failure: BaseException | None = None

    def tell(self) -> None:
        """Do what is left to do after the commit, then answer the caller."""
        if self.failure is not None:
            self.change.done.set_exception(self.failure)
            return
        try:
            if self.change.after_commit:
                self.change.after_commit(self.result)
        except Exception as error:  # noqa: BLE001
            self.change.done.set_exception(error)
        else:
            self.change.done.set_result(self.result)


def _carry_out(change: _Change, connection: Connection) -> _Outcome:
    """Run one change in its savepoint. A database error other than a broken constraint fails the whole group."""
    try:
        with connection.begin_nested():
            return _Outcome(change, change.work(connection))
    except IntegrityError as error:
        return _Outcome(change, failure=error)
    except DBAPIError:
        raise
    except Exception as error:  # noqa: BLE001  the caller's own error goes back to the caller
        return _Outcome(change, failure=error)


def _unavailable(error: BaseException) -> ServiceUnavailable:
    refusal = ServiceUnavailable(
        "The database cannot take this now (full, read-only or unreachable); nothing was changed."
    )
    refusal.__cause__ = error
    return refusal


def _engine(url: str, *, pool_size: int, read_only: bool) -> Engine:
    engine = create_engine(url, pool_size=pool_size, max_overflow=0)
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine, read_only=read_only)
    return engine


def _tune_sqlite(engine: Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
