"""Connections to the two databases of a move. Each is the only user of its database while it is open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import DBAPIError

from likeness.errors import SetupError
from likeness.store import migrations
from likeness.store.engines import make_engine
from likeness.store.refusals import OWN_FAULTS, cause_of
from likeness.store.sharing.claim import Unowned, take_lock
from likeness.store.sqlite import tune
from likeness.store.tables import deployment


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Open a database that nothing may change: give one read-only snapshot. The caller owns SQLite's data folder.

    Raises SetupError if there is no database of this version, or a server uses it.
    """
    engine = _reader(url)
    try:
        with _refusals(), closing(engine.connect()) as connection:
            if not inspect(connection).has_table(deployment.name):
                raise SetupError("the source has no database of a deployment")
            if migrations.version_of(connection) != migrations.newest():
                raise SetupError(
                    "the database of the source has another version than this program: run `likeness tenant list` on "
                    "it first, which upgrades it"
                )
            connection.rollback()
            _own(connection, "source")
            with connection.begin():
                yield connection
    finally:
        engine.dispose()  # ends the lock with the connection


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """Open a database to write to, at the newest version. The caller owns SQLite's data folder.

    Raises SetupError if it holds tables of something else, or a server uses it.
    """
    with _refusals():
        if not migrations.was_made(url):
            _demand_no_tables(url)
        migrations.upgrade(url)
        engine = make_engine(url, pool_size=1, read_only=False)
        try:
            with closing(engine.connect()) as connection:
                _own(connection, "target")
                yield connection
        finally:
            engine.dispose()  # ends the lock with the connection


def is_same_database(url: str, other: str) -> bool:
    """Whether two addresses name one database. Two spellings of one server's name count as two databases."""
    one, two = make_url(url), make_url(other)
    if one.get_backend_name() == two.get_backend_name() == "sqlite":
        return Path(one.database or "").resolve() == Path(two.database or "").resolve()
    return one == two


def _reader(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return make_engine(url, pool_size=1, read_only=True)
    file = Path(parsed.database or "").resolve()
    if not file.exists():
        raise SetupError(f"the source has no database at {file}")
    # A connection that may write would move the log into the file at its end.
    address = f"{file.as_uri()}?mode=ro"
    engine = create_engine(
        url, creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False), hide_parameters=True
    )
    tune(engine, read_only=True)
    return engine


def _own(connection: Connection, side: str) -> None:
    if connection.dialect.name == "sqlite":
        return
    try:
        take_lock(connection)
    except Unowned as error:
        raise SetupError(f"a server or an import runs on the {side}'s PostgreSQL database: stop it first") from error
    connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
    connection.commit()  # the next statement sees all that the owner before has committed


def _demand_no_tables(url: str) -> None:
    engine = create_engine(url)
    try:
        if inspect(engine).get_table_names():
            raise SetupError("the target's database holds tables of something else")
    finally:
        engine.dispose()


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn a database's refusals into SetupError."""
    try:
        yield
    except OWN_FAULTS as error:  # its message may hold a row's values
        raise SetupError(
            "the rows do not fit into the target's tables: empty the target, and run the move again"
        ) from error
    except DBAPIError as error:
        raise SetupError(f"a database refuses the move ({cause_of(error)}); run the command again to go on") from error
