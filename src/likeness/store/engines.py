"""SQLAlchemy's engines: one for the connection that writes, one for those that read."""

from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url

from likeness.store.sqlite import opener, tune

LONGEST_IDLE_MILLISECONDS = 10_000
"""How long a transaction on PostgreSQL may wait for its process. Then the database ends it, and releases its locks.

Otherwise a process that is paused, or cut off, within a transaction would keep other processes waiting.
"""


def make_engine(url: str, *, pool_size: int, read_only: bool) -> Engine:
    """Make an engine for SQLite (an existing file) or PostgreSQL."""
    # A parameter of a statement may be a person's name. So parameters stay out of error messages and of the log.
    parsed = make_url(url)
    open_file = opener(parsed) if parsed.get_backend_name() == "sqlite" else None
    settings: dict[str, Any] = {"creator": open_file} if open_file else {}
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, hide_parameters=True, **settings)
    if engine.dialect.name == "sqlite":
        tune(engine, read_only=read_only)
    elif read_only:
        # Like SQLite's readers, these see one snapshot and cannot write.
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    else:
        event.listen(engine, "connect", _limit_idling)
        # A statement must see what was committed while the statement before it waited for a lock.
        return engine.execution_options(isolation_level="READ COMMITTED")
    return engine


def _limit_idling(connection: Any, _record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = {LONGEST_IDLE_MILLISECONDS}")
    connection.commit()
