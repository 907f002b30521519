"""Ownership of a PostgreSQL database's galleries: a lock that ends with its connection, and an epoch.

Each new owner raises the epoch. An owner that lost its connection takes the lock on a new one and reads the epoch. If
it is the owner's own epoch, no other process was the owner meanwhile. Then the galleries in memory still agree with the
database.

Servers that search in shards share the lock, so that no process with galleries in memory writes beside them. They hold
nothing in memory that could disagree.
"""

from enum import Enum

from sqlalchemy import Connection, text

from likeness.store.facts import read_fact, record_fact

OWNER_LOCK = 0x4C696B656E657373
"""Key of the advisory lock on a database: "Likeness" in ASCII."""
EPOCH_FACT = "owner_epoch"
_LOCK_HELD = "likeness_owner"


class Ownership(Enum):
    """The state of the claim on a database."""

    LOST = "lost"
    """The lock was lost with its connection. Another process may become the owner."""
    KEPT = "kept"
    """The lock is back, and no other process had it."""
    GONE = "gone"
    """The database's file is no longer under its name. All that is written to it is lost."""
    DOUBTFUL = "doubtful"
    """The database may differ from what this process wrote."""


class Unowned(Exception):
    """Another process has the lock."""

    def __str__(self) -> str:
        return "another process owns this database"


class Claim:
    """One process's claim on a database. Only the writer's thread uses it."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._epoch: int | None = None

    def take(self, connection: Connection) -> int:
        """Become the owner: take the lock and raise the epoch. Raises Unowned if another process has the lock."""
        take_lock(connection, shared=self._shared)
        return _raise_epoch(connection)

    def made(self, epoch: int) -> None:
        """Note the epoch, once it is committed."""
        self._epoch = epoch

    @property
    def is_made(self) -> bool:
        return self._epoch is not None

    def is_held_on(self, connection: Connection) -> bool:
        return bool(connection.info.get(_LOCK_HELD))

    def let_go(self, connection: Connection) -> None:
        """Release the lock at once. Otherwise the database releases it when it notices the end of the connection."""
        if connection.info.pop(_LOCK_HELD, None):
            unlock = "pg_advisory_unlock_shared" if self._shared else "pg_advisory_unlock"
            connection.execute(text(f"SELECT {unlock}(:key)"), {"key": OWNER_LOCK})

    def take_back(self, connection: Connection) -> Ownership:
        """Take the lock on a new connection, in its own transaction. Raises Unowned if another process has it."""
        with connection.begin():
            take_lock(connection, shared=self._shared)
            if self._shared or _epoch(connection) == self._epoch:
                return Ownership.KEPT
            raised = _raise_epoch(connection)
        self._epoch = raised
        return Ownership.DOUBTFUL


def take_lock(connection: Connection, *, shared: bool = False) -> None:
    """Take the owner's lock until the connection ends. Raises Unowned if another process has it.

    Processes with a ``shared`` lock have it together.
    """
    lock = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    if not connection.execute(text(f"SELECT {lock}(:key)"), {"key": OWNER_LOCK}).scalar_one():
        raise Unowned
    # By default TCP waits for two hours. So long a machine that disappeared would keep the lock.
    for setting, value in (("idle", 10), ("interval", 5), ("count", 3)):
        connection.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
    connection.info[_LOCK_HELD] = True


def _epoch(connection: Connection) -> int:
    return int(read_fact(connection, EPOCH_FACT) or 0)


def _raise_epoch(connection: Connection) -> int:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": OWNER_LOCK + 1})  # one process at a time
    epoch = _epoch(connection) + 1
    record_fact(connection, EPOCH_FACT, epoch)
    return epoch
