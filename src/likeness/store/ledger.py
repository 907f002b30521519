"""What the changes of a transaction note: for a ledger, and for the rolls of the galleries.

Both are written in the same transaction.

A database without a ledger drops the notes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection

ASKED_SECONDS = 1.0
_NOTES, _MEMBERS = "likeness_notes", "likeness_members"


class Ledger(Protocol):
    """Keeps what changes note. Only the writer's thread calls it."""

    @property
    def is_waiting(self) -> bool:
        """Whether it has something to write besides."""
        ...

    def seconds_left(self) -> float:
        """Give the seconds until it wants a transaction, even if no change waits, or until the next question."""
        ...

    def postpone(self) -> None:
        """Want the next transaction later, because the present attempt may fail."""
        ...

    def write(self, connection: Connection, notes: Sequence[Any]) -> None:
        """Write what the changes of a transaction noted. It is the last step before the commit."""
        ...

    def conclude(self, *, committed: bool) -> None:
        """Take the transaction's outcome. If it was not committed, it may be that nobody knows."""
        ...


class NoLedger:
    """Keeps nothing."""

    is_waiting = False

    def seconds_left(self) -> float:
        return ASKED_SECONDS

    def postpone(self) -> None: ...

    def write(self, connection: Connection, notes: Sequence[Any]) -> None: ...

    def conclude(self, *, committed: bool) -> None: ...


def noted(connection: Connection) -> list[Any] | None:
    """Give the notes of the present transaction, to which a change may add. None if it is not the writer's."""
    notes: list[Any] | None = connection.info.get(_NOTES)
    return notes


def begin_notes(connection: Connection) -> list[Any]:
    """Begin a transaction without notes. Give the list that its changes add to."""
    notes: list[Any] = []
    connection.info[_NOTES] = notes
    connection.info[_MEMBERS] = []
    return notes


def noted_members(connection: Connection) -> list[tuple[str, int, bool]] | None:
    """Give what the present transaction changed in the galleries: tenant, entry's key, and whether it came.

    None if the transaction is not the writer's.
    """
    members: list[tuple[str, int, bool]] | None = connection.info.get(_MEMBERS)
    return members


@contextmanager
def taken_back_on_failure(connection: Connection) -> Iterator[None]:
    """Drop the notes that the block made if it fails."""
    lists = [each for each in (noted(connection), noted_members(connection)) if each is not None]
    before = [len(each) for each in lists]
    try:
        yield
    except BaseException:
        for each, length in zip(lists, before, strict=True):
            del each[length:]
        raise
