"""What a database error means: a fault of one change, or a database that takes nothing now."""

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from likeness.errors import ServiceUnavailable
from likeness.store.claim import Unowned
from likeness.store.sqlite import Gone

OWN_FAULTS = (IntegrityError, DataError, ProgrammingError)
"""Database errors that say something of the one change, and nothing of the database."""


class CommitUnknown(Exception):
    """The connection was lost while the database committed: what the group changed may or may not be there."""


def is_refusal(error: Exception) -> bool:
    """Whether the database itself refuses: then no change of the group can go through."""
    refusals = (DBAPIError, PoolTimeoutError, Unowned, Gone, CommitUnknown)
    return isinstance(error, refusals) and not isinstance(error, OWN_FAULTS)


def refusal_of(error: Exception) -> ServiceUnavailable:
    """Give what a caller is told of an error by which the database refused."""
    if isinstance(error, CommitUnknown):
        message = "The database was lost while it committed; the change may have been made: look before you repeat it."
    elif isinstance(error, Gone):
        message = "The database's file was removed or replaced under the server; nothing is kept."
    elif isinstance(error, Unowned):
        message = "Another server may be writing to this database; nothing was changed."
    else:
        message = "The database cannot take this now (full, read-only or unreachable); nothing was changed."
    refusal = ServiceUnavailable(message)
    refusal.__cause__ = error
    return refusal


def cause_of(error: BaseException) -> BaseException:
    """Give what the driver said first: undoing a change after it may have failed too."""
    first, each = error, error.__context__
    while each is not None:
        # What the database says of a value that is there already holds the value.
        names_values = isinstance(each, OWN_FAULTS)
        first, each = each if isinstance(each, DBAPIError) and not names_values else first, each.__context__
    return first.orig if isinstance(first, DBAPIError) and first.orig else first
