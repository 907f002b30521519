"""Which process owns a PostgreSQL database's galleries: a lock that ends with its connection, and an epoch.

Each new owner raises the epoch. An owner that lost its connection takes the lock on another one and reads the epoch: if
it is the one that it raised itself, nobody was owner meanwhile, and what it holds in memory is still what the database
holds.
"""

from enum import Enum

from sqlalchemy import Connection, delete, insert, select, text

from likeness.store.tables import deployment

OWNER_LOCK = 0x4C696B656E657373
"""Key of the advisory lock on a database: "Likeness" in ASCII."""
EPOCH_FACT = "owner_epoch"
_LOCK_HELD = "likeness_owner"


class Ownership(Enum):
    """What became of the claim on a database."""

    LOST = "lost"
    """The lock went with its connection: another may come to own the database."""
    KEPT = "kept"
    """The lock is back, and nobody else had it."""
    GONE = "gone"
    """The database's file is not under its name any more: what would be written is lost."""
    DOUBTFUL = "doubtful"
    """The database may hold other than what this process wrote."""


class Unowned(Exception):
    """The lock is another process's."""

    def __str__(self) -> str:
        return "another process owns this database"


class Claim:
    """One process's claim. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self._epoch: int | None = None

    def take(self, connection: Connection) -> int:
        """Become the owner: take the lock and raise the epoch. Raises Unowned when another has it."""
        _lock(connection)
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
        """Give the lock back at once; by itself, the database would when it notices that the connection has ended."""
        if connection.info.pop(_LOCK_HELD, None):
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": OWNER_LOCK})

    def take_back(self, connection: Connection) -> Ownership:
        """Take the lock on a new connection, in a transaction of its own. Raises Unowned when another has it."""
        with connection.begin():
            _lock(connection)
            if _epoch(connection) == self._epoch:
                return Ownership.KEPT
            raised = _raise_epoch(connection)
        self._epoch = raised
        return Ownership.DOUBTFUL


def _lock(connection: Connection) -> None:
    if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": OWNER_LOCK}).scalar_one():
        raise Unowned
    # A machine that vanished must not keep the next one out for the two hours that TCP waits by default.
    for setting, value in (("idle", 10), ("interval", 5), ("count", 3)):
        connection.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
    connection.info[_LOCK_HELD] = True


def _epoch(connection: Connection) -> int:
    query = select(deployment.c.value).where(deployment.c.name == EPOCH_FACT)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def _raise_epoch(connection: Connection) -> int:
    epoch = _epoch(connection) + 1
    connection.execute(delete(deployment).where(deployment.c.name == EPOCH_FACT))
    connection.execute(insert(deployment).values(name=EPOCH_FACT, value=epoch))
    return epoch
