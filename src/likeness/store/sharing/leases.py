"""Leases on a PostgreSQL database: the right of one process to do a job, for a few seconds at a time.

A lease ends by the database's clock, so it does not matter how the clocks of the processes differ. Each taking of a
lease gives it the next number. A change that the job makes checks the number in its own transaction. There it also
keeps others from taking the lease until the commit. So a process that lost its lease, because it was paused or cut off,
changes nothing more.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Double, cast, exists, func, insert, select, update

from likeness.errors import ServiceUnavailable
from likeness.store.tables import leases

LEASE_SECONDS = 10.0
"""How long others wait for a holder that says nothing more."""


class LeaseLost(ServiceUnavailable):
    """Another process may do the job now."""

    def __init__(self) -> None:
        super().__init__("Another server may do this work now; nothing was changed.")


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken. ``number`` rises each time that the lease of this name is taken."""

    name: str
    number: int

    def demand(self, connection: Connection) -> None:
        """Keep the lease until the transaction ends. Raises LeaseLost if it has ended or was taken by another."""
        mine = (leases.c.name == self.name) & (leases.c.number == self.number) & (leases.c.expires_at > _now())
        if connection.execute(select(leases.c.name).where(mine).with_for_update(read=True)).first() is None:
            raise LeaseLost


HELD: ContextVar[Lease | None] = ContextVar("held_lease", default=None)
"""The lease of the job that runs in this context. ``Database`` demands it in every change that the job makes."""


def is_free(connection: Connection, name: str) -> bool:
    """Whether nobody holds a lease."""
    held = exists().where(leases.c.name == name, leases.c.expires_at > _now())
    return not connection.execute(select(held)).scalar_one()


def take_lease(connection: Connection, name: str, holder: str) -> Lease | None:
    """Take a lease that nobody holds, or give None. ``holder`` is for the operator's eyes.

    Raises IntegrityError if another process takes it for the first time at the same moment.
    """
    values = {"holder": holder, "expires_at": _now() + LEASE_SECONDS}
    free = update(leases).where(leases.c.name == name, leases.c.expires_at <= _now())
    taken = free.values(**values, number=leases.c.number + 1).returning(leases.c.number)
    number = connection.execute(taken).scalar_one_or_none()
    if number is None and not connection.execute(select(exists().where(leases.c.name == name))).scalar_one():
        number = 1
        connection.execute(insert(leases).values(**values, name=name, number=number))
    return None if number is None else Lease(name, number)


def renew_lease(connection: Connection, lease: Lease) -> bool:
    """Let a lease last longer. False if another process took it."""
    renewed = update(leases).where(leases.c.name == lease.name, leases.c.number == lease.number)
    return connection.execute(renewed.values(expires_at=_now() + LEASE_SECONDS)).rowcount == 1


def release_lease(connection: Connection, lease: Lease) -> None:
    """End a lease at once, unless another process took it."""
    mine = update(leases).where(leases.c.name == lease.name, leases.c.number == lease.number)
    connection.execute(mine.values(expires_at=0))


def _now() -> ColumnElement[float]:
    """Give the database's clock: seconds since the Unix epoch, when the statement runs."""
    return cast(func.extract("epoch", func.clock_timestamp()), Double)
