"""A connection that waits for PostgreSQL's notifications of changes in the galleries.

A notification says only that there is something to read. It is lost while the connection is lost. So the first wait of
each connection returns at once, after ``LISTEN``: anyone who reads the numbers then misses no later change. A wait that
ends without a notification also says that all numbers must be compared.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from likeness.errors import ServiceUnavailable
from likeness.store.engines import make_engine
from likeness.store.sharing.changes import CHANNEL


@dataclass(frozen=True, slots=True)
class Woken:
    """What a wait ended with: the tenants whose galleries changed, or None if any gallery may have changed."""

    tenant_ids: frozenset[str] | None


ANY = Woken(None)


class Listener:
    """Waits for changes in the galleries of a PostgreSQL database. One thread uses it."""

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url, pool_size=1, read_only=False)
        self._listening: Connection | None = None

    def wait(self, seconds: float) -> Woken:
        """Wait for the next notifications, at most so long. Connect first if there is no connection.

        Raises ServiceUnavailable when the database cannot be reached or the connection was lost. The next call connects
        again.
        """
        driver: Any = self._engine.dialect.loaded_dbapi
        try:
            if self._listening is None:
                self._listen()
                return ANY
            driver_connection: Any = self._listening.connection.driver_connection
            notes = driver_connection.notifies(timeout=seconds, stop_after=1)
            changed = frozenset(note.payload for note in notes)
            if changed:
                return Woken(changed)
            self._listening.exec_driver_sql("SELECT 1")  # a connection to a machine that disappeared says nothing
        except (driver.Error, DBAPIError) as error:
            self._leave()
            raise ServiceUnavailable("The database's notifications cannot be read now.") from error
        return ANY

    def close(self) -> None:
        """Close the connection. No call may be under way."""
        self._leave()
        self._engine.dispose()

    def _listen(self) -> None:
        self._listening = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        for setting, value in (("idle", 10), ("interval", 5), ("count", 3)):
            self._listening.exec_driver_sql(f"SET tcp_keepalives_{setting} = {value}")
        self._listening.exec_driver_sql(f"LISTEN {CHANNEL}")

    def _leave(self) -> None:
        if self._listening is not None:
            with suppress(DBAPIError):
                self._listening.invalidate()
                self._listening.close()
            self._listening = None
