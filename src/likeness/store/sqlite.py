"""SQLite's settings, and the cut of its log after an erasure.

SQLite overwrites deleted data in the database file (``secure_delete``). But its log keeps the old pages until they are
overwritten, which may never happen. So a statement that deletes or changes rows causes a cut of the log: its pages are
moved into the database file, and its length is set to zero. This happens a moment later, so many erasures share one
cut.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from likeness.kit.files import PRIVATE
from likeness.store.statements import run_on_driver

log = logging.getLogger("likeness.store")
CHECKPOINT_PAGES = 4000
"""Pages in the log before they are moved into the database file: 16 MB."""
LARGEST_LOG_BYTES = 64 << 20
"""The size to which the log file is cut after a long reader made it grow."""
BUSY_MILLISECONDS = 10_000
CUT_SECONDS = 2.0
"""Time from an erasure to the cut of the log, and between tries while a reader prevents the cut."""
_CUT_MILLISECONDS = 50
"""How long the writer waits for readers to end. Then it tries again later."""
REPORTED_SECONDS = 60.0


def tune(engine: Engine, *, read_only: bool) -> None:
    """Set up each connection of an engine."""

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver must begin no transaction: _begin does
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
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


class Gone(Exception):
    """The open file or log is no longer the one under the database's name."""

    def __str__(self) -> str:
        return "the database's file, or its log, was removed or replaced while the server ran"


class FilesInPlace:
    """Checks whether the database's file and its log are still the open ones. Only the writer's thread uses it.

    An unlinked file still takes writes, but they are lost when the process ends.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._log = file, file.with_name(f"{file.name}-wal")
        self._known = _identity(file)
        self._known_log: tuple[int, int] | None = None

    def are(self) -> bool:
        same_log = self._known_log is None or _identity(self._log) == self._known_log
        return same_log and _identity(self._file) == self._known

    def left(self) -> None:
        """Note that the writer left its connection. SQLite deletes the log with the last one, and makes a new one."""
        self._known_log = None

    def written(self) -> None:
        """Note that the open log was written to, so it exists."""
        if self._known_log is None:
            self._known_log = _identity(self._log)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def opener(url: URL) -> Callable[[], sqlite3.Connection] | None:
    """Give a function that opens an existing database file. Give None for a database in memory."""
    if not url.database or url.database == ":memory:" or url.query:
        return None
    address = f"{Path(url.database).resolve().as_uri()}?mode=rw"
    return lambda: sqlite3.connect(address, uri=True, check_same_thread=False)


class LogRemains:
    """Notes whether the log may still hold erased data, and cuts the log. Only the writer's thread uses it."""

    def __init__(self, engine: Engine) -> None:
        now = time.monotonic()
        self._due: float | None = now + CUT_SECONDS  # a crash may have left erased data in the log
        self._since = now

        @event.listens_for(engine, "after_cursor_execute")
        def _notice(_connection: object, cursor: sqlite3.Cursor, *details: object) -> None:
            context = details[2]
            if (getattr(context, "isdelete", False) or getattr(context, "isupdate", False)) and cursor.rowcount > 0:
                self._notice()

    def seconds_left(self) -> float | None:
        """Give the seconds until the next cut of the log, or None if none is needed."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def cut(self, connection: Connection) -> None:
        """Move the log into the database file and cut it, outside a transaction.

        If that is not possible now, the next try comes later.
        """
        if cut_log(connection):
            self._due = None
        else:
            self.postpone()

    def postpone(self) -> None:
        now = time.monotonic()
        if self._since + REPORTED_SECONDS < now:
            log.warning("erased data is still in the database's log: a reader takes long, or the disk refuses")
            self._since = now
        self._due = now + CUT_SECONDS

    def _notice(self) -> None:
        if self._due is None:
            self._since = time.monotonic()
            self._due = self._since + CUT_SECONDS


def cut_log(connection: Connection) -> bool:
    """Move the log into the database file and cut it. Give False if a reader prevents it or the disk refuses."""
    try:
        run_on_driver(connection, f"PRAGMA busy_timeout = {_CUT_MILLISECONDS}")
        busy = run_on_driver(connection, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        run_on_driver(connection, f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    except DBAPIError:
        return False
    return not busy


def keep_private(database: Path) -> None:
    """Make SQLite's file before SQLite does. Make it and its log private to their owner.

    An existing file is not opened. Closing it would release the locks of all this process's connections to it.
    """
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
    for ending in ("", "-wal", "-shm"):
        file = database.with_name(database.name + ending)
        if file.exists():
            file.chmod(PRIVATE)
