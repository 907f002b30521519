"""The meaning of a database error: either one change is faulty, or the database takes no changes now."""

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from likeness.errors import ServiceUnavailable
from likeness.kit.metrics import Count
from likeness.store.sharing.claim import Unowned
from likeness.store.sqlite import Gone

REFUSED = Count(
    "likeness_database_refusals_total", "Queries and changes that the database refused.", {"work": ("read", "write")}
)
OWN_FAULTS = (IntegrityError, DataError, ProgrammingError)
"""Database errors whose cause is one change, not the database."""


class CommitUnknown(Exception):
    """The connection was lost during a commit, so the group's changes may or may not be stored."""


def is_deadlock(error: BaseException) -> bool:
    """Whether the database ended the transaction because it and another one waited for each other's locks."""
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) == "40P01"


def is_refusal(error: Exception) -> bool:
    """Whether the database itself refuses. Then it refuses every change of the group."""
    refusals = (DBAPIError, PoolTimeoutError, Unowned, Gone, CommitUnknown)
    return isinstance(error, refusals) and not isinstance(error, OWN_FAULTS)


def refusal_of(error: Exception) -> ServiceUnavailable:
    """Give the error that a caller gets when the database refuses."""
    if isinstance(error, CommitUnknown):
        message = "The database was lost during the commit. Check whether the change was made before you repeat it."
    elif isinstance(error, Gone):
        message = "The database's file was removed or replaced while the server ran; the change is not stored."
    elif isinstance(error, Unowned):
        message = "Another server may be writing to this database; nothing was changed."
    else:
        message = "The database cannot take this now (full, read-only or unreachable); nothing was changed."
    refusal = ServiceUnavailable(message)
    refusal.__cause__ = error
    return refusal


def cause_of(error: BaseException) -> BaseException:
    """Give the driver's first error. Later ones may come from the attempt to undo the change."""
    first, each = error, error.__context__
    while each is not None:
        # The database's error about a value that exists already contains the value.
        names_values = isinstance(each, OWN_FAULTS)
        first, each = each if isinstance(each, DBAPIError) and not names_values else first, each.__context__
    return first.orig if isinstance(first, DBAPIError) and first.orig else first
