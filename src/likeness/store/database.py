"""The deployment's database: pooled readers, and one writer (``likeness.store.writer``).

A server claims the database. On PostgreSQL the writing connection holds a lock. Each later writing connection takes the
lock again, and nothing is written without it (see ``likeness.store.sharing.claim``). For SQLite, the owner of the data
folder owns the database (see ``likeness.store.ownership``).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.executors import SizedExecutor
from likeness.store.authentic.rows import RowKey, use_row_key
from likeness.store.engines import make_engine
from likeness.store.ledger import Ledger
from likeness.store.refusals import OWN_FAULTS, REFUSED, cause_of
from likeness.store.sharing.claim import Ownership, Unowned
from likeness.store.sharing.leases import HELD
from likeness.store.writer import Change, Committed, Writer

log = logging.getLogger("likeness.store")
T = TypeVar("T")
READERS = 4
STANDBY_SECONDS = 1.0


class Database:
    """The deployment's database: SQLite (an existing file) or PostgreSQL, through SQLAlchemy Core."""

    def __init__(self, url: str, *, readers: int = READERS, shared: bool = False) -> None:
        """Open it. ``shared``: this process claims it together with others (see ``likeness.store.sharing.claim``)."""
        self.url = url
        self._writer = Writer(url, shared=shared)
        self._readers = make_engine(url, pool_size=readers, read_only=True)
        self._pool = SizedExecutor("database-reader", workers=readers, queue_limit=1024)
        self.authenticate(RowKey.new())  # until there is the deployment's key, no stored row is authentic

    @property
    def is_sqlite(self) -> bool:
        return self._writer.is_sqlite

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a pooled read-only connection. Raises ServiceUnavailable if the database cannot be read."""
        return await self._pool.run(self.read_now, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run a query on this thread. For start-up, commands and worker threads. Raises ServiceUnavailable."""
        try:
            with self._readers.connect() as connection:
                return query(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, OWN_FAULTS):
                raise
            REFUSED.add("read")
            log.error("the database cannot be read: %s", cause_of(error))  # noqa: TRY400  no traceback: the database is at fault
            raise ServiceUnavailable("The database cannot be read now.") from error

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        after_commit: Callable[[Committed[T]], None] | None = None,
        exclusive: bool = False,
        gallery_of: str | None = None,
    ) -> T:
        """Run a change. It is durable when this returns.

        ``work`` runs on the writer's thread, so it must be quick. It may run again after a roll-back, so it must change
        nothing but the database. An ``exclusive`` change runs after all earlier changes and their ``after_commit``.
        Later changes start after its own ``after_commit``. ``gallery_of`` is the id of the tenant whose gallery the
        change is of, so that several processes lock galleries in one order.

        Raises the error of ``work``, and then writes nothing. Also raises IntegrityError, and ServiceUnavailable if the
        database refuses. Within a job that needs a lease, raises LeaseLost when that was lost.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.enqueue(Change(work, after_commit, exclusive, gallery_of, HELD.get(), done))
        return await done

    def write_now(
        self,
        work: Callable[[Connection], T],
        *,
        after_commit: Callable[[Committed[T]], None] | None = None,
        exclusive: bool = False,
        gallery_of: str | None = None,
    ) -> T:
        """Run a change like ``write``, and wait on this thread.

        For start-up, commands and worker threads, never from within a change.
        """
        if self._writer.is_this_thread:
            raise RuntimeError("A change cannot wait for another change: both run on the writer's thread.")
        done: Future[T] = Future()
        self._writer.enqueue(Change(work, after_commit, exclusive, gallery_of, HELD.get(), done))
        return done.result()

    def claim(self, *, wait: bool = False) -> None:
        """Become the only process that writes galleries, or one of those that share them, until ``close``.

        ``wait`` waits for another such process to end. Raises SetupError if there is one, and ServiceUnavailable.
        """
        if self.is_sqlite:
            return
        waiting = False
        while True:
            try:
                self.write_now(
                    self._writer.claim.take, after_commit=lambda committed: self._writer.claim.made(committed.result)
                )
            except ServiceUnavailable as error:
                if not (wait or isinstance(error.__cause__, Unowned)):
                    raise
                if not wait:
                    raise SetupError(
                        "another server or import runs on this PostgreSQL database, perhaps on another machine: stop "
                        "it first"
                    ) from error
            else:
                return
            if not waiting:
                log.warning("standing by until no other server owns this database")
                waiting = True
            time.sleep(STANDBY_SECONDS)

    async def keep_claim(self) -> None:
        """Check the claim and the database's file. Take a lost claim again.

        Raises ServiceUnavailable if another process has the claim or the file is gone.
        """
        files = self._writer.files
        if files and (self._writer.gone or not files.are()):
            await self.write(lambda _: None)
        if self._writer.claim.is_made:
            await self.write(lambda c: c.exec_driver_sql("SELECT 1").scalar_one())

    def authenticate(self, key: RowKey) -> None:
        """Let the rows that decide be authentic under a key, from the next connection on."""
        for engine in (self._writer.engine, self._readers):
            use_row_key(engine, key)

    def keep(self, ledger: Ledger) -> None:
        """Let a ledger keep what changes note, from the next transaction on."""
        self._writer.ledger = ledger

    def on_ownership_change(self, report: Callable[[Ownership], None]) -> None:
        """Call ``report`` when the claim changes or the outcome of a commit is unknown.

        ``report`` runs on the writer's thread.
        """
        self._writer.on_ownership_change = report

    def close(self) -> None:
        """Run the queued changes, then close the database."""
        self._writer.finish()
        self._pool.close()
        self._readers.dispose()
        self._writer.dispose()
