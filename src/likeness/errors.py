"""What can go wrong, as the caller sees it.

    LikenessError
    ├── BadRequest                      400  the request is not what the call takes
    │   ├── InvalidInput                400  a field is missing or out of range
    │   ├── InvalidImage                400  the bytes claim to be a photo and are not
    │   └── RequestTimeout              408  the body comes too slowly
    ├── FaceRefused                     400  the photo shows no face to work with
    │   ├── NoFace
    │   ├── MultipleFaces
    │   └── LowQuality                       with reasons
    ├── Unauthorized                    401
    ├── Forbidden                       403
    ├── NotFound                        404
    │   └── SessionExpiredOrNotFound    404
    ├── Conflict                        409
    ├── PayloadTooLarge                 413
    ├── UnsupportedMediaType            415
    ├── TooManyRequests                 429
    ├── UnexpectedError                 500
    └── ServiceUnavailable              503

One handler turns any of them into the contract's body (see ``likeness.web.http``).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """The ``error`` member of every error body."""

    BAD_REQUEST = "BAD_REQUEST"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_IMAGE = "INVALID_IMAGE"
    NO_FACE = "NO_FACE"
    MULTIPLE_FACES = "MULTIPLE_FACES"
    LOW_QUALITY = "LOW_QUALITY"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    SESSION_EXPIRED_OR_NOT_FOUND = "SESSION_EXPIRED_OR_NOT_FOUND"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"


MEANINGS: Mapping[ErrorCode, str] = {
    ErrorCode.BAD_REQUEST: (
        "The body is not what its content type says: not well-formed JSON, a broken form. With 408 the "
        "body came too slowly; with 405 the call does not exist with this method."
    ),
    ErrorCode.INVALID_INPUT: "A field is missing, of the wrong type or out of range; the message names it.",
    ErrorCode.INVALID_IMAGE: (
        "The bytes begin like a JPEG or PNG but are damaged, cut short, have too many pixels, or "
        "contradict their own header."
    ),
    ErrorCode.NO_FACE: "No face was found. Ask for a photo with the whole face in view.",
    ErrorCode.MULTIPLE_FACES: (
        "Several faces and none is clearly the subject; or any second face, where the tenant's policy is `single`."
    ),
    ErrorCode.LOW_QUALITY: (
        "The face cannot be used; `reasons` names the ISO/IEC 29794-5 measures that fell short, worst first."
    ),
    ErrorCode.UNAUTHORIZED: "No access token, or one that is malformed, expired or not ours. Get a new one.",
    ErrorCode.FORBIDDEN: "The token is good but lacks the permission of this call.",
    ErrorCode.NOT_FOUND: "Unknown, gone, or another tenant's: the three are not told apart.",
    ErrorCode.SESSION_EXPIRED_OR_NOT_FOUND: "The session is over or never was.",
    ErrorCode.CONFLICT: "The `externalId` is taken, or the `Idempotency-Key` came before with another request.",
    ErrorCode.PAYLOAD_TOO_LARGE: "A photo or the body has too many bytes.",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "Not a JPEG or PNG, or a body that is neither JSON nor a form.",
    ErrorCode.TOO_MANY_REQUESTS: "A quota is used up; `Retry-After` says when to come back.",
    ErrorCode.SERVICE_UNAVAILABLE: (
        "The server has more to do than it can, is still loading, or cannot write; nothing was changed. "
        "`Retry-After` says when to come back. A server with too much to do says so before it reads the "
        "body."
    ),
    ErrorCode.UNEXPECTED_ERROR: "A fault of ours. The request id leads to the log entry.",
}
"""What each code tells a caller; docs/api.md is made from it."""


class LikenessError(Exception):
    """The root of the tree: one clear sentence, a code and a status."""

    code: ClassVar[ErrorCode] = ErrorCode.UNEXPECTED_ERROR
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class BadRequest(LikenessError):
    """The request is malformed. The root of the errors that a better request avoids."""

    code = ErrorCode.BAD_REQUEST
    status = 400


class InvalidInput(BadRequest):
    """A field is missing, of the wrong type or out of its range."""

    code = ErrorCode.INVALID_INPUT


class InvalidImage(BadRequest):
    """A photo is not an image that can be decoded, or is too large."""

    code = ErrorCode.INVALID_IMAGE


class RequestTimeout(BadRequest):
    """The request did not arrive in time."""

    status = 408


class FaceRefused(LikenessError):
    """The photo was decoded, but its face cannot be used. The root of three reasons."""

    status = 400


class NoFace(FaceRefused):
    """No face was detected."""

    code = ErrorCode.NO_FACE


class MultipleFaces(FaceRefused):
    """The photo shows several faces, and the policy allows one alone or none is clearly the subject."""

    code = ErrorCode.MULTIPLE_FACES


class LowQuality(FaceRefused):
    """The face cannot be used; ``reasons`` are ISO/IEC 29794-5 measure names, worst first."""

    code = ErrorCode.LOW_QUALITY

    def __init__(self, message: str, *, reasons: Sequence[str]) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)


class Unauthorized(LikenessError):
    """The access token is missing, malformed, expired or not ours."""

    code = ErrorCode.UNAUTHORIZED
    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(LikenessError):
    """The caller is known but may not do this."""

    code = ErrorCode.FORBIDDEN
    status = 403


class NotFound(LikenessError):
    """What the path names does not exist, or belongs to another tenant."""

    code = ErrorCode.NOT_FOUND
    status = 404


class SessionExpiredOrNotFound(NotFound):
    """The session does not exist, has ended, or its time is over."""

    code = ErrorCode.SESSION_EXPIRED_OR_NOT_FOUND


class Conflict(LikenessError):
    """The request contradicts what is stored, e.g. an ``externalId`` already taken."""

    code = ErrorCode.CONFLICT
    status = 409


class PayloadTooLarge(LikenessError):
    """The body or a photo in it has too many bytes."""

    code = ErrorCode.PAYLOAD_TOO_LARGE
    status = 413


class UnsupportedMediaType(LikenessError):
    """The body has a content type that the call does not read."""

    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status = 415


class TooManyRequests(LikenessError):
    """The caller must wait ``retry_after_seconds``."""

    code = ErrorCode.TOO_MANY_REQUESTS
    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class UnexpectedError(LikenessError):
    """A fault of ours; the message never carries details to the caller."""


class ServiceUnavailable(LikenessError):
    """The server cannot answer now. The caller may try again after ``retry_after_seconds``."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class SetupError(Exception):
    """The operator must act: a missing key, an unknown pack, weights that fail their hash. Never sent to a caller."""
