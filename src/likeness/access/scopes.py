"""The permissions that a client may hold."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission. Its value is the contract's name."""

    FACE_FLOW = "KYC_FACE_FLOW"
    FACE_MATCH = "KYC_FACE_MATCH"
    FACE_SEARCH = "KYC_FACE_SEARCH"
    FACE_INSERT = "KYC_FACE_INSERT"
    FACE_DELETE = "KYC_FACE_DELETE"
    INFO_SDK = "KYC_INFO_SDK"
    ADMIN = "ADMIN"


API_SCOPES = frozenset(Scope) - {Scope.ADMIN}
"""The permissions of a tenant's first client: every call of the API. Other clients get the permissions named."""
