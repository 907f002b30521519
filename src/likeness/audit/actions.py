"""What the audit trail records. The words are stored."""

from enum import StrEnum


class Action(StrEnum):
    """An act that leaves a record. The record's object is the id that each member names."""

    COMMAND = "command"
    """A command of the operator began. The object is its name, without its arguments."""
    EXPORT = "export"
    """The operator wrote a gallery's entries to a file. The object is the tenant."""
    SIGN_IN = "sign-in"
    """A client asked for an access token. The object is the token's ``jti``."""
    REFUSAL = "refusal"
    """A call lacked a permission, which is the object, or came from an address that its client may not call from."""
    SEARCH = "search"
    """A search found an entry. The object is the entry."""
    ENROLMENT = "enrolment"
    """A person was enrolled. The object is the entry."""
    ERASURE = "erasure"
    """An entry was erased with its photo and its templates. The object is the entry."""
    PHOTO_DELETION = "photo deletion"
    """An entry's photo was deleted. The object is the entry."""
    PURGE = "purge"
    """A client deleted the data of a face session. The object is the session."""
    SWEEP = "sweep"
    """Data was deleted because its time was over. The object names the kind of data, the outcome how much."""
    TENANT_CREATION = "tenant creation"
    TENANT_CHANGE = "tenant change"
    TENANT_ERASURE = "tenant erasure"
    CLIENT_CREATION = "client creation"
    CLIENT_CHANGE = "client change"
    CLIENT_DISABLING = "client disabling"
    CLIENT_SECRET = "client secret"  # noqa: S105  an act, not a secret
    """A client got a secret, or lost one."""
    KEY_CREATION = "key creation"
    """A signing key was made. The object is its ``kid``, as with the next two."""
    KEY_REVOCATION = "key revocation"
    KEY_END = "key end"
    """A retired key was deleted after its time."""
    TRIM = "trim"
    """Old records and seals were deleted. The object is the number of the last seal that went."""
    FLOOD = "flood"
    """Refusals that were not recorded, because there were too many. The outcome is their number."""
    LOSS = "loss"
    """Records that were lost, because the database took none for long. The outcome is their number."""


ERASURES = (Action.ERASURE, Action.TENANT_ERASURE, Action.PHOTO_DELETION, Action.PURGE)
"""The acts that a receipt can confirm."""
DONE, ISSUED, REFUSED, HIT = "done", "issued", "refused", "hit"
