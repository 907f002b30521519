"""One writer that commits in groups, and pooled readers.

A commit costs one fdatasync however many changes it carries, so changes that wait together share one transaction. What a change
leaves to do once it is durable (``after_commit``: feeding the index) runs on the writer's thread in commit order, before the
caller is answered: an answer implies both, and the index sees the database's own order.

A group is first run plainly. If one of its changes fails, all is rolled back and run again with a savepoint around each, so that
only the faulty one is refused. If the database itself refuses (full, read-only, unreachable), every change of the group is.

A server that holds galleries in memory claims the database: on PostgreSQL its writing connection holds a lock, taken anew by each
connection after it, and without it nothing is written. SQLite's file lies in the data folder (see ``likeness.store.ownership``).
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Never, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.executors import SizedExecutor
from likeness.store.statements import run_on_driver

log = logging.getLogger("likeness.store")
T = TypeVar("T")
GROUP_LIMIT = 256
READERS = 4
CHECKPOINT_PAGES = 4000
"""Pages in SQLite's log before they are moved into the database file: 16 MB."""
LARGEST_LOG_BYTES = 64 << 20
"""What SQLite's log file is cut to after a long reader made it grow."""

OWNER_LOCK = 0x4C696B656E657373
"""Key of PostgreSQL's advisory lock on a database: "Likeness" in ASCII."""
_LOCK_HELD = "likeness_owner"

_OWN_FAULTS = (IntegrityError, DataError, ProgrammingError)
"""Database errors that say something of the one change, and nothing of the database."""


class _Unowned(Exception):
    """The lock is another process's, or was nobody's for a moment in which another may have written."""


class _CommitUnknown(Exception):
    """The connection was lost while the database committed: what the group changed may or may not be there."""


@dataclass(frozen=True, slots=True)
class _Change:
    work: Callable[[Connection], Any]
    after_commit: Callable[[Any], None] | None
    alone: bool
    done: "Future[Any] | asyncio.Future[Any]"


class Database:
    """The deployment's database, SQLite or PostgreSQL, reached with SQLAlchemy Core."""

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self.url = url
        self._writer = _engine(url, pool_size=1, read_only=False)
        self._writing: Connection | None = None
        self._claimed = False
        self._on_doubt: Callable[[], None] | None = None
        self._readers = _engine(url, pool_size=readers, read_only=True)
        self._pool = SizedExecutor("database-reader", workers=readers, queue_limit=1024)
        self._waiting: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._write_groups, name="database-writer", daemon=True)
        self._thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a pooled read-only connection. Raises ServiceUnavailable when the database cannot be read."""
        return await self._pool.run(self.read_now, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run a query on this thread; for start-up, commands and worker threads."""
        try:
            with self._readers.connect() as connection:
                return query(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, _OWN_FAULTS):
                raise
            log.error("the database cannot be read: %s", _cause(error))  # noqa: TRY400  no traceback: it is the disk's fault
            raise ServiceUnavailable("The database cannot be read now.") from error

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        after_commit: Callable[[T], None] | None = None,
        alone: bool = False,
    ) -> T:
        """Run a change, durable when this returns.

        ``work`` runs on the writer's thread, so it must be quick, and it may be run again after a roll-back, so it must leave
        no traces but in the database. Changes before one that is ``alone`` are wholly done, ``after_commit`` included, when it
        runs; changes behind it start when it is.

        Raises what ``work`` raises (nothing is then written), IntegrityError, and ServiceUnavailable when the disk refuses.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Change(work, after_commit, alone, done))
        return await done

    def write_now(
        self,
        work: Callable[[Connection], T],
        *,
        after_commit: Callable[[T], None] | None = None,
        alone: bool = False,
    ) -> T:
        """Run a change and wait on this thread; for start-up, commands and worker threads."""
        done: Future[T] = Future()
        self._enqueue(_Change(work, after_commit, alone, done))
        return done.result()

    def claim(self) -> None:
        """Be the one process that writes galleries, until closed. Raises SetupError when another is, ServiceUnavailable."""
        if self._writer.dialect.name == "sqlite":
            return
        try:
            self.write_now(_take_lock)
        except ServiceUnavailable as error:
            if not isinstance(error.__cause__, _Unowned):
                raise
            raise SetupError(
                "another server or import runs on this PostgreSQL database, perhaps on another machine: stop it first"
            ) from error
        self._claimed = True

    def on_doubt(self, follow: Callable[[], None]) -> None:
        """Have ``follow`` called, on the writer's thread, when the database may hold other than what was fed to memory.

        That is when the connection was lost during a commit, or another process may have written.
        """
        self._on_doubt = follow

    def close(self) -> None:
        """Carry out what is queued, then let go of the database."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._pool.close()
        self._writer.dispose()
        self._readers.dispose()

    def _enqueue(self, change: _Change) -> None:
        """Queue a change. From here on it is carried out: a caller that goes away must not leave the index behind the database."""
        with self._closing:
            if self._closed:
                raise ServiceUnavailable("The server is stopping.")
            self._waiting.put(change)

    def _write_groups(self) -> None:
        for group in self._groups():
            self._commit(group)
        self._leave_connection()

    def _groups(self) -> Iterator[list[_Change]]:
        """Give the changes as they come, those that wait together at once, until ``None`` comes."""
        change = self._waiting.get()
        while change is not None:
            group = [change]
            while True:
                try:
                    change = self._waiting.get_nowait()
                except queue.Empty:
                    yield group
                    change = self._waiting.get()
                    break
                if change is None or change.alone or group[0].alone or len(group) == GROUP_LIMIT:
                    yield group
                    break
                group.append(change)

    def _commit(self, group: list[_Change]) -> None:
        try:
            outcomes = self._carry_out(group)
        except Exception as error:  # noqa: BLE001  the writer's thread must outlive any fault
            # Nothing of the group was committed, so nothing that one of its changes saw there may be told either.
            log.error("%d changes were refused: %s", len(group), _cause(error))  # noqa: TRY400  no traceback: it is the disk's fault
            outcomes = [_Outcome(change, failure=_refusal(error)) for change in group]
        _tell(outcomes)

    def _carry_out(self, group: list[_Change]) -> "list[_Outcome]":
        try:
            with self._transaction() as connection:
                return [_Outcome(change, change.work(connection)) for change in group]
        except Exception as error:
            if _is_refusal(error):
                raise
            if len(group) == 1:
                return [_Outcome(group[0], failure=error)]
        with self._transaction() as connection:
            return [_try(change, connection) for change in group]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Begin on the connection that the writer keeps; one that the database refused on is not used again."""
        if self._writing is None:
            self._writing = self._writer.connect()
        committing = False
        try:
            if self._claimed and not self._writing.info.get(_LOCK_HELD):
                _take_lock_back(self._writing)
            with self._writing.begin():
                yield self._writing
                committing = True
        except _Unowned:
            self._doubt()
            raise
        except Exception as error:
            if _is_refusal(error):
                self._writing.invalidate()
                self._leave_connection()
            # SQLite commits in this process, and knows.
            if committing and isinstance(error, DBAPIError) and self._writer.dialect.name != "sqlite":
                self._doubt()
                raise _CommitUnknown from error
            raise

    def _doubt(self) -> None:
        if self._on_doubt:
            self._on_doubt()

    def _leave_connection(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    change: _Change
    result: Any = None
    failure: BaseException | None = None

    def followed(self) -> "_Outcome":
        """Do what is left to do after the commit; gives what the caller is to be told."""
        if self.failure is not None or self.change.after_commit is None:
            return self
        try:
            self.change.after_commit(self.result)
        except Exception as error:
            log.exception("a change was committed, but what follows it failed")
            return replace(self, failure=error)
        return self

    def answer(self) -> None:
        done = self.change.done
        if done.cancelled():
            return
        if self.failure is not None:
            done.set_exception(self.failure)
        else:
            done.set_result(self.result)


def _tell(outcomes: Sequence[_Outcome]) -> None:
    """Do what follows each change, in commit order, and answer the callers; those of one event loop together.

    Waking a loop costs the writer as much as several rows, and each wake-up hands the interpreter to the loop's thread.
    """
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Outcome]] = defaultdict(list)
    for outcome in map(_Outcome.followed, outcomes):
        if isinstance(outcome.change.done, Future):
            outcome.answer()
        else:
            by_loop[outcome.change.done.get_loop()].append(outcome)
    for loop, told in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(_answer_all, told)


def _answer_all(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        outcome.answer()


def _try(change: _Change, connection: Connection) -> _Outcome:
    """Run one change in a savepoint of its own."""
    try:
        with connection.begin_nested():
            return _Outcome(change, change.work(connection))
    except Exception as error:
        if _is_refusal(error):
            raise
        return _Outcome(change, failure=error)


def _is_refusal(error: Exception) -> bool:
    """Whether the database itself refuses: then no change of the group can go through."""
    refusals = (DBAPIError, PoolTimeoutError, _Unowned, _CommitUnknown)
    return isinstance(error, refusals) and not isinstance(error, _OWN_FAULTS)


def _refusal(error: Exception) -> ServiceUnavailable:
    if isinstance(error, _CommitUnknown):
        told = "The database was lost while it committed; the change may have been made: look before you repeat it."
    elif isinstance(error, _Unowned):
        told = "Another server may be writing to this database; nothing was changed."
    else:
        told = "The database cannot take this now (full, read-only or unreachable); nothing was changed."
    refusal = ServiceUnavailable(told)
    refusal.__cause__ = error
    return refusal


def _take_lock(connection: Connection) -> None:
    """Take the owner's lock, which ends with the connection. Raises _Unowned when another has it."""
    if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": OWNER_LOCK}).scalar_one():
        raise _Unowned
    # A machine that vanished must not keep the next one out for the two hours that TCP waits by default.
    for setting, value in (("idle", 10), ("interval", 5), ("count", 3)):
        connection.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
    connection.info[_LOCK_HELD] = True


def _take_lock_back(connection: Connection) -> Never:
    """Take the owner's lock on a new connection. Raises _Unowned even so: another may have had it and written."""
    with connection.begin():
        _take_lock(connection)
    raise _Unowned


def _cause(error: BaseException) -> BaseException:
    """Give what the driver said first: undoing a change after it may have failed too."""
    first, each = error, error.__context__
    while each is not None:
        # What the database says of a value that is there already holds the value.
        names_values = isinstance(each, _OWN_FAULTS)
        first, each = each if isinstance(each, DBAPIError) and not names_values else first, each.__context__
    return first.orig if isinstance(first, DBAPIError) and first.orig else first


def _engine(url: str, *, pool_size: int, read_only: bool) -> Engine:
    # What is bound to a statement may be somebody's name: it is kept out of error messages and so of the log.
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine, read_only=read_only)
    elif read_only:
        # As SQLite's readers do, these see one moment, and cannot write.
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
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
        cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        cursor.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG_BYTES}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        run_on_driver(connection, "BEGIN" if read_only else "BEGIN IMMEDIATE")
