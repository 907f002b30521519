"""The writer: one thread that commits changes in groups.

A commit costs one fdatasync, however many changes it has. So changes that wait together share one transaction. After
the commit the writer's thread runs each change's ``after_commit`` in commit order, such as the update of the index.
Then it answers the caller. So an answered change is durable and in the index, and the index has the order of the
database.

A group first runs without savepoints. If a change fails, the group is rolled back and runs again, with a savepoint for
each change. Then only the faulty change is refused. If the database itself refuses (full, read-only, unreachable),
every change of the group is refused. A group that the database ended because of a deadlock runs again, too.
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
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from likeness.errors import ServiceUnavailable
from likeness.kit.metrics import Times
from likeness.store.authentic.roll import new_rolls, write_rolls
from likeness.store.engines import make_engine
from likeness.store.ledger import Ledger, NoLedger, begin_notes, taken_back_on_failure
from likeness.store.refusals import REFUSED, CommitUnknown, cause_of, is_deadlock, is_refusal, refusal_of
from likeness.store.sharing import changes
from likeness.store.sharing.claim import Claim, Ownership, Unowned
from likeness.store.sharing.leases import Lease
from likeness.store.sqlite import FilesInPlace, Gone, LogRemains, cut_log

log = logging.getLogger("likeness.store")
GROUP_LIMIT = 256
_commit_seconds = Times("likeness_commit_seconds", "Time of a transaction, with all changes that share it.")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """A durable change, on the writer's thread.

    A method that changes a gallery takes one. Only the writer makes it.
    """

    result: T
    """The result of the change's work."""


@dataclass(frozen=True, slots=True)
class Change:
    """Work for the writer. ``done`` gets its result or its error."""

    work: Callable[[Connection], Any]
    after_commit: Callable[[Committed[Any]], None] | None
    exclusive: bool
    gallery_of: str | None
    """Id of the tenant whose gallery it changes, if it changes one."""
    lease: Lease | None
    """The lease of the job that makes the change, if a job makes it."""
    done: "Future[Any] | asyncio.Future[Any]"
    context: Context = field(default_factory=copy_context)
    """The caller's context, in which the work runs: it says who makes the change."""

    def run(self, connection: Connection) -> Any:
        """Do the work, and give its result. Raises LeaseLost if the job's lease was lost."""
        if self.lease:
            self.lease.demand(connection)
        return self.context.run(self.work, connection)


class Writer:
    """Holds the only connection that writes. Other modules use it through ``Database``."""

    def __init__(self, url: str, *, shared: bool = False) -> None:
        self.engine = make_engine(url, pool_size=1, read_only=False)
        self.claim = Claim(shared=shared)
        self.on_ownership_change: Callable[[Ownership], None] | None = None
        """Called on the writer's thread when the claim changes or the outcome of a commit is unknown."""
        self.ledger: Ledger = NoLedger()
        self._keeps_log = changes.keeps_log(self.engine.dialect)
        self.remains = LogRemains(self.engine) if self.is_sqlite else None
        file = self.engine.url.database
        self.files = FilesInPlace(Path(file)) if self.is_sqlite and file else None
        self.gone = False
        """Whether the open file is no longer the one under the database's name."""
        self._writing: Connection | None = None
        self._waiting: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._write_groups, name="database-writer", daemon=True)
        self._thread.start()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller is within a change."""
        return threading.current_thread() is self._thread

    def enqueue(self, change: Change) -> None:
        """Queue a change. It runs even if the caller leaves, so the index never lacks a committed change.

        Raises ServiceUnavailable after ``finish``.
        """
        with self._closing:
            if self._closed:
                raise ServiceUnavailable("The server is stopping.")
            self._waiting.put(change)

    def finish(self) -> None:
        """Run the queued changes, and end the thread."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def dispose(self) -> None:
        """Close the database. Call it after the readers are closed."""
        if self.remains:
            with suppress(DBAPIError), self.engine.connect() as connection:
                cut_log(connection)
        self.engine.dispose()

    def _write_groups(self) -> None:
        for group in self._groups():
            self._commit(group)
            self._cut_log()
        if self.ledger.is_waiting:
            self._commit([])
        if self._writing is not None and self.claim.is_made:
            with suppress(DBAPIError):
                self.claim.let_go(self._writing)
        self._leave_connection()

    def _next(self) -> Change | None:
        """Wait for a change. Meanwhile cut the log, and write the ledger, when that is due."""
        while True:
            cut = self.remains.seconds_left() if self.remains else None
            pause = self.ledger.seconds_left() if cut is None else min(cut, self.ledger.seconds_left())
            try:
                return self._waiting.get(timeout=pause)
            except queue.Empty:
                self._cut_log()
                if self.ledger.seconds_left() == 0:
                    self.ledger.postpone()
                    self._commit([])

    def _cut_log(self) -> None:
        if self.remains and self.remains.seconds_left() == 0:
            try:
                self.remains.cut(self._connect())
            except DBAPIError:  # the next change logs the cause
                self.remains.postpone()

    def _groups(self) -> Iterator[list[Change]]:
        """Give groups of the changes that wait together, until ``None`` comes."""
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
                if change is None or change.exclusive or group[0].exclusive or len(group) == GROUP_LIMIT:
                    yield group
                    break
                group.append(change)

    def _commit(self, group: list[Change]) -> None:
        began = time.monotonic()
        try:
            outcomes = self._carry_out(group)
            _commit_seconds.add(time.monotonic() - began)
        except Exception as error:  # noqa: BLE001  the writer's thread must survive every fault
            # Nothing of the group was committed. So all its changes get the refusal, not what their work gave.
            logged = isinstance(error, Gone) or (isinstance(error, Unowned) and not self.claim.is_made)
            if not logged:
                log.error("%d changes were refused: %s", len(group), cause_of(error))  # noqa: TRY400  no traceback: the database is at fault
            outcomes = [_Outcome(change, failure=refusal_of(error)) for change in group]
            REFUSED.add("write", by=len(group))
        _conclude(outcomes)

    def _carry_out(self, group: list[Change]) -> "list[_Outcome]":
        try:
            with self._transaction(group) as connection:
                return [_Outcome(change, change.run(connection)) for change in group]
        except Exception as error:
            if not is_deadlock(error):
                if is_refusal(error):
                    raise
                if len(group) == 1:
                    return [_Outcome(group[0], failure=error)]
        with self._transaction(group) as connection:
            return [_try(change, connection) for change in group]

    @contextmanager
    def _transaction(self, group: Sequence[Change]) -> Iterator[Connection]:
        """Begin a group's transaction on the writer's connection. After a refusal the next one uses a new connection.

        It first locks the galleries that the group changes, and at its end writes the log of their changes.
        """
        self._demand_files()
        connection = self._connect()
        committing = False
        try:
            if self.claim.is_made and not self.claim.is_held_on(connection):
                self._report_ownership(self.claim.take_back(connection))
            with connection.begin():
                if self._keeps_log:
                    changes.lock_galleries(connection, {change.gallery_of for change in group if change.gallery_of})
                notes = begin_notes(connection)
                yield connection
                if self._keeps_log:
                    changes.write_changes(connection, new_rolls(connection))
                else:
                    write_rolls(connection, new_rolls(connection))
                self.ledger.write(connection, notes)
                committing = True
            self.ledger.conclude(committed=True)
            if self.files:
                self.files.written()
                self._demand_files()
        except (Unowned, Gone):
            raise
        except Exception as error:
            self.ledger.conclude(committed=False)
            if is_refusal(error) and not is_deadlock(error):
                connection.invalidate()
                self._leave_connection()
                if self.claim.is_made:
                    self._report_ownership(Ownership.LOST)
            # SQLite commits in this process, so it knows the outcome.
            if committing and isinstance(error, DBAPIError) and not self.is_sqlite:
                self._report_ownership(Ownership.DOUBTFUL)
                raise CommitUnknown from error
            raise

    def _demand_files(self) -> None:
        """Raise Gone if the open file is not the one under the database's name. Log it once."""
        gone = self.files is not None and not self.files.are()
        if gone != self.gone:
            self.gone = gone
            if gone:
                log.critical("%s: stop the server and restore the database; until then every call is refused", Gone())
            else:
                log.warning("the database's file is in its place again")
            self._report_ownership(Ownership.GONE if gone else Ownership.KEPT)
        if gone:
            raise Gone

    def _connect(self) -> Connection:
        if self._writing is None:
            self._writing = self.engine.connect()
        return self._writing

    def _report_ownership(self, became: Ownership) -> None:
        if self.on_ownership_change:
            self.on_ownership_change(became)

    def _leave_connection(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None
            if self.files:
                self.files.left()


@dataclass(frozen=True, slots=True)
class _Outcome:
    change: Change
    result: Any = None
    failure: BaseException | None = None

    def followed(self) -> "_Outcome":
        """Run ``after_commit``, and give the outcome for the caller."""
        if self.failure is not None or self.change.after_commit is None:
            return self
        try:
            self.change.after_commit(Committed(self.result))
        except Exception as error:
            log.exception("a change was committed, but its update in memory failed")
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


def _conclude(outcomes: Sequence[_Outcome]) -> None:
    """Run each change's ``after_commit`` in commit order, and answer the callers, those of one event loop together.

    A wake-up of a loop costs the writer as much as several rows, and gives the interpreter to the loop's thread.
    """
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Outcome]] = defaultdict(list)
    for outcome in map(_Outcome.followed, outcomes):
        if isinstance(outcome.change.done, Future):
            outcome.answer()
        else:
            by_loop[outcome.change.done.get_loop()].append(outcome)
    for loop, concluded in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed, so no caller waits
            loop.call_soon_threadsafe(_answer_all, concluded)


def _answer_all(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        outcome.answer()


def _try(change: Change, connection: Connection) -> _Outcome:
    """Run one change in its own savepoint."""
    place = changes.mark(connection)
    try:
        with connection.begin_nested(), taken_back_on_failure(connection):
            return _Outcome(change, change.run(connection))
    except Exception as error:
        if is_refusal(error):
            raise
        changes.go_back(connection, place)
        return _Outcome(change, failure=error)
