"""What the changes of a transaction note, so that a ledger keeps it in the same transaction.

A database without a ledger drops the notes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection

ASKED_SECONDS = 1.0
_NOTES = "likeness_notes"


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
    return notes


@contextmanager
def taken_back_on_failure(connection: Connection) -> Iterator[None]:
    """Drop the notes that the block made if it fails."""
    notes = noted(connection)
    before = len(notes or ())
    try:
        yield
    except BaseException:
        if notes:
            del notes[before:]
        raise
