"""The states of a face session, and the codes of its failures and endings.

    open ──► capturing ──► succeeded
      │          │  ▲ │
      │          └──┘ ├──► failed      no attempt is left
      │   next attempt│
      ├───────────────┼──► cancelled   by the person in front of the camera
      └───────────────┴──► expired     by the clock

A session ends once. The change of state, the signed result and the webhook delivery are one transaction.
"""

from enum import StrEnum


class SessionState(StrEnum):
    """The state of a session, as stored."""

    OPEN = "open"
    CAPTURING = "capturing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


UNDER_WAY = frozenset({SessionState.OPEN, SessionState.CAPTURING})


class AttemptFailure(StrEnum):
    """Why an attempt failed (contract §6, trace status codes)."""

    LIVENESS = "FACE_LIVENESS_FAILED"
    NO_MATCH = "FACE_NO_MATCH"
    TIMEOUT = "FACE_TIMEOUT"
    PICTURE = "FACE_PICTURE_UNUSABLE"
    """The person is live, but no picture is good enough to compare or to enrol."""


class EndError(StrEnum):
    """Why a session ended without success: the ``error`` of its result and of ``onError`` (contract §6)."""

    USER_CANCEL = "USER_CANCEL"
    EXPIRED = "SESSION_EXPIRED_OR_NOT_FOUND"
    TOO_MANY_ATTEMPTS = "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
