"""One writer that commits in groups, and pooled readers.

A commit costs one fdatasync however many changes it carries, so changes that wait together share one transaction. What a change
leaves to do once it is durable (``after_commit``: feeding the index) runs on the writer's thread in commit order, before the
caller is answered: an answer implies both, and the index sees the database's own order.

A group is first run plainly. If one of its changes fails, all is rolled back and run again with a savepoint around each, so that
only the faulty one is refused. If the database itself refuses (full, read-only, unreachable), every change of the group is.

A server that holds galleries in memory claims the database: on PostgreSQL its writing connection holds a lock, taken anew by each
connection after it, and without it nothing is written (see ``likeness.store.claim``). SQLite's file lies in the data folder (see
``likeness.store.ownership``).
"""

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.executors import SizedExecutor
from likeness.store.claim import Claim, Ownership, Unowned
from likeness.store.sqlite import FilesInPlace, Gone, LogRemains, cut_log, opener, tune

log = logging.getLogger("likeness.store")
T = TypeVar("T")
GROUP_LIMIT = 256
READERS = 4
STANDBY_SECONDS = 1.0

_OWN_FAULTS = (IntegrityError, DataError, ProgrammingError)
"""Database errors that say something of the one change, and nothing of the database."""


class _CommitUnknown(Exception):
    """The connection was lost while the database committed: what the group changed may or may not be there."""


@dataclass(frozen=True, slots=True)
class _Change:
    work: Callable[[Connection], Any]
    after_commit: Callable[[Any], None] | None
    alone: bool
    done: "Future[Any] | asyncio.Future[Any]"


class Database:
    """The deployment's database, SQLite (a file that is there already) or PostgreSQL, reached with SQLAlchemy Core."""

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self.url = url
        self._writer = _engine(url, pool_size=1, read_only=False)
        self._writing: Connection | None = None
        self._claim = Claim()
        self._follow: Callable[[Ownership], None] | None = None
        self._remains = LogRemains(self._writer) if self._is_sqlite else None
        file = self._writer.url.database
        self._files = FilesInPlace(Path(file)) if self._is_sqlite and file else None
        self._gone = False
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
        """Run a change and wait on this thread; for start-up, commands and worker threads, never from within a change."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("A change waits for another one, which cannot come before it ends.")
        done: Future[T] = Future()
        self._enqueue(_Change(work, after_commit, alone, done))
        return done.result()

    def claim(self, *, wait: bool = False) -> None:
        """Be the one process that writes galleries, until closed; ``wait`` for the one that is.

        Raises SetupError when another is, ServiceUnavailable.
        """
        if self._is_sqlite:
            return
        waiting = False
        while True:
            try:
                self.write_now(self._claim.take, after_commit=self._claim.made)
            except ServiceUnavailable as error:
                if not (wait or isinstance(error.__cause__, Unowned)):
                    raise
                if not wait:
                    raise SetupError(
                        "another server or import runs on this PostgreSQL database, perhaps on another machine: stop it first"
                    ) from error
            else:
                return
            if not waiting:
                log.warning("standing by until no other server owns this database")
                waiting = True
            time.sleep(STANDBY_SECONDS)

    async def keep_claim(self) -> None:
        """See to it that a claim that was made still holds, or is made again, and that the database's file is in place.

        Raises ServiceUnavailable where it cannot be.
        """
        if self._files and (self._gone or not self._files.are()):
            await self.write(lambda _: None)
        if self._claim.is_made:
            await self.write(lambda c: c.exec_driver_sql("SELECT 1").scalar_one())

    def on_ownership(self, follow: Callable[[Ownership], None]) -> None:
        """Have ``follow`` called, on the writer's thread, when the claim on the database changes, or a commit's outcome is unknown."""
        self._follow = follow

    def close(self) -> None:
        """Carry out what is queued, then let go of the database."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._pool.close()
        self._readers.dispose()
        if self._remains:
            with suppress(DBAPIError), self._writer.connect() as connection:
                cut_log(connection)
        self._writer.dispose()

    @property
    def _is_sqlite(self) -> bool:
        return self._writer.dialect.name == "sqlite"

    def _enqueue(self, change: _Change) -> None:
        """Queue a change. From here on it is carried out: a caller that goes away must not leave the index behind the database."""
        with self._closing:
            if self._closed:
                raise ServiceUnavailable("The server is stopping.")
            self._waiting.put(change)

    def _write_groups(self) -> None:
        for group in self._groups():
            self._commit(group)
            self._cut_log()
        if self._writing is not None and self._claim.is_made:
            with suppress(DBAPIError):
                self._claim.let_go(self._writing)
        self._leave_connection()

    def _next(self) -> _Change | None:
        """Wait for a change; meanwhile, cut the log when that is due."""
        while True:
            try:
                return self._waiting.get(timeout=self._remains.seconds_left() if self._remains else None)
            except queue.Empty:
                self._cut_log()

    def _cut_log(self) -> None:
        if self._remains and self._remains.seconds_left() == 0:
            try:
                self._remains.cut(self._connection())
            except DBAPIError:  # the next change tells the cause
                self._remains.postpone()

    def _groups(self) -> Iterator[list[_Change]]:
        """Give the changes as they come, those that wait together at once, until ``None`` comes."""
        change = self._next()
        while change is not None:
            group = [change]
            while True:
                try:
                    change = self._waiting.get_nowait()
                except queue.Empty:
                    yield group
                    change = self._next()
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
            told = isinstance(error, Gone) or (isinstance(error, Unowned) and not self._claim.is_made)
            if not told:
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
        self._demand_files()
        connection = self._connection()
        committing = False
        try:
            if self._claim.is_made and not self._claim.is_held_on(connection):
                self._tell_ownership(self._claim.take_back(connection))
            with connection.begin():
                yield connection
                committing = True
            if self._files:
                self._files.written()
                self._demand_files()
        except (Unowned, Gone):
            raise
        except Exception as error:
            if _is_refusal(error):
                connection.invalidate()
                self._leave_connection()
                if self._claim.is_made:
                    self._tell_ownership(Ownership.LOST)
            # SQLite commits in this process, and knows.
            if committing and isinstance(error, DBAPIError) and not self._is_sqlite:
                self._tell_ownership(Ownership.DOUBTFUL)
                raise _CommitUnknown from error
            raise

    def _demand_files(self) -> None:
        """Raise Gone where the open file is not the one under the database's name, and tell it once."""
        gone = self._files is not None and not self._files.are()
        if gone != self._gone:
            self._gone = gone
            if gone:
                log.critical("%s: stop it and restore the database; until then every call is refused", Gone())
            else:
                log.warning("the database's file is in its place again")
            self._tell_ownership(Ownership.GONE if gone else Ownership.KEPT)
        if gone:
            raise Gone

    def _connection(self) -> Connection:
        if self._writing is None:
            self._writing = self._writer.connect()
            if self._files:
                self._files.opened()
        return self._writing

    def _tell_ownership(self, became: Ownership) -> None:
        if self._follow:
            self._follow(became)

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
    refusals = (DBAPIError, PoolTimeoutError, Unowned, Gone, _CommitUnknown)
    return isinstance(error, refusals) and not isinstance(error, _OWN_FAULTS)


def _refusal(error: Exception) -> ServiceUnavailable:
    if isinstance(error, _CommitUnknown):
        told = "The database was lost while it committed; the change may have been made: look before you repeat it."
    elif isinstance(error, Gone):
        told = "The database's file was removed or replaced under the server; nothing is kept."
    elif isinstance(error, Unowned):
        told = "Another server may be writing to this database; nothing was changed."
    else:
        told = "The database cannot take this now (full, read-only or unreachable); nothing was changed."
    refusal = ServiceUnavailable(told)
    refusal.__cause__ = error
    return refusal


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
    parsed = make_url(url)
    open_file = opener(parsed) if parsed.get_backend_name() == "sqlite" else None
    settings: dict[str, Any] = {"creator": open_file} if open_file else {}
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, hide_parameters=True, **settings)
    if engine.dialect.name == "sqlite":
        tune(engine, read_only=read_only)
    elif read_only:
        # As SQLite's readers do, these see one moment, and cannot write.
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine
