"""A consistent copy of a database, as an SQLite file, while others write to the database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from likeness.errors import SetupError
from likeness.store.engines import make_engine
from likeness.store.move.databases import writing
from likeness.store.move.rows import RowMove
from likeness.store.sqlite import keep_private

PAGES_AT_ONCE = 4096
"""Pages of SQLite, of 4 KiB each, between two steps of the progress."""


def copy_database(url: str, file: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database into a new SQLite file, which only its owner can read. Raises SetupError.

    The copy is the state at one moment. Writers do not wait for it. ``progress`` takes how much is done, and how much
    there is in all.
    """
    keep_private(file)
    source = make_url(url)
    if source.get_backend_name() == "sqlite":
        _copy_sqlite(Path(source.database or ""), file, progress)
    else:
        _copy_rows(url, file, progress)
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode = DELETE")  # one file holds all


def _copy_sqlite(source: Path, file: Path, progress: Callable[[int, int], None]) -> None:
    address = f"{source.resolve().as_uri()}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, isolation_level=None)) as read,
            closing(sqlite3.connect(file)) as made,
        ):
            # Without a transaction, SQLite would begin again whenever another process writes.
            read.execute("BEGIN")
            read.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            read.backup(made, pages=PAGES_AT_ONCE, progress=lambda _, left, total: progress(total - left, total))
    except sqlite3.Error as error:
        raise SetupError(f"SQLite's database cannot be copied: {error}") from error


def _copy_rows(url: str, file: Path, progress: Callable[[int, int], None]) -> None:
    engine = make_engine(url, pool_size=1, read_only=True)
    try:
        with closing(engine.connect()) as source, writing(f"sqlite:///{file}") as target:
            source.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
            source.commit()
            with source.begin():
                rows = RowMove(source, target)
                total, done = rows.count(), 0

                def advance(more: int) -> None:
                    nonlocal done
                    done += more
                    progress(done, total)

                rows.copy(advance)
    finally:
        engine.dispose()
