"""The errors that a caller can get.

    LikenessError
    ├── BadRequest                      400  the request is malformed
    │   ├── InvalidInput                400  a field is missing or out of range
    │   ├── InvalidImage                400  the bytes look like a photo but cannot be decoded
    │   └── RequestTimeout              408  the body arrives too slowly
    ├── FaceRefused                     400  the photo shows no face that can be used
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

One handler turns each of them into the contract's error body (see ``likeness.web.http``).
"""

from collections.abc import Iterator, Mapping, Sequence
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
        "The body does not agree with its content type, such as JSON that is not well-formed. With 408 the "
        "body arrives too slowly. With 405 the call does not exist with this method."
    ),
    ErrorCode.INVALID_INPUT: "A field is missing, of the wrong type or out of range. The message names the field.",
    ErrorCode.INVALID_IMAGE: (
        "The bytes begin like a JPEG or PNG. But the image is damaged, incomplete, has too many pixels, or "
        "contradicts its own header."
    ),
    ErrorCode.NO_FACE: "No face was found. Ask for a photo with the whole face in view.",
    ErrorCode.MULTIPLE_FACES: (
        "The photo shows several faces and none is clearly the subject. Where the tenant's policy is `single`, any "
        "second face gives this error."
    ),
    ErrorCode.LOW_QUALITY: (
        "The face cannot be used. `reasons` names the measures that are too low, worst first: those of ISO/IEC "
        "29794-5, and `Recognisability`, by which the recogniser itself hardly recognises the face."
    ),
    ErrorCode.UNAUTHORIZED: (
        "The access token is missing, malformed or expired, or this server did not issue it. Get a new one."
    ),
    ErrorCode.FORBIDDEN: "The token is valid but lacks the permission of this call.",
    ErrorCode.NOT_FOUND: (
        "The object does not exist, was deleted, or belongs to another tenant. The answer is the same for the three."
    ),
    ErrorCode.SESSION_EXPIRED_OR_NOT_FOUND: "The session has ended or expired, or never existed.",
    ErrorCode.CONFLICT: (
        "The `externalId` is taken, or an earlier, different request used the `Idempotency-Key`. Or an entry to delete "
        "is under a legal hold: end the hold first."
    ),
    ErrorCode.PAYLOAD_TOO_LARGE: "A photo or the body has too many bytes.",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "The photo is not JPEG or PNG (or JPEG 2000, where the server "
    "accepts it), or the body is neither JSON nor a form.",
    ErrorCode.TOO_MANY_REQUESTS: (
        "A limit is used up. `Retry-After` says when to try again, and `RateLimit-Policy` names the limit."
    ),
    ErrorCode.SERVICE_UNAVAILABLE: (
        "The server is overloaded, is still loading, or cannot write. `Retry-After` says when to try again. An "
        "overloaded server gives this error before it reads the body. It changed nothing, with one exception: the "
        "message says that the database was lost during the commit. Then the change may have been made. A call with "
        "the same `Idempotency-Key` enrols only once."
    ),
    ErrorCode.UNEXPECTED_ERROR: "The server failed unexpectedly. Its log has the details under the request id.",
}
"""What each code means to a caller. ``scripts/write_docs.py`` copies it into docs/api.md."""


class LikenessError(Exception):
    """The root of these errors: one clear sentence, a code and an HTTP status."""

    code: ClassVar[ErrorCode] = ErrorCode.UNEXPECTED_ERROR
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class BadRequest(LikenessError):
    """The request is malformed. The root of the errors that a correct request avoids."""

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
    """The photo was decoded, but its face cannot be used. The root of three errors."""

    status = 400


class NoFace(FaceRefused):
    """No face was detected."""

    code = ErrorCode.NO_FACE


class MultipleFaces(FaceRefused):
    """The photo shows several faces. The policy allows only one, or none is clearly the subject."""

    code = ErrorCode.MULTIPLE_FACES


class LowQuality(FaceRefused):
    """The face cannot be used. ``reasons`` are names of quality measures, worst first."""

    code = ErrorCode.LOW_QUALITY

    def __init__(self, message: str, *, reasons: Sequence[str]) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)


class Unauthorized(LikenessError):
    """The access token is missing, malformed or expired, or this deployment did not issue it."""

    code = ErrorCode.UNAUTHORIZED
    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(LikenessError):
    """The token is valid but lacks the permission of this call."""

    code = ErrorCode.FORBIDDEN
    status = 403


class NotFound(LikenessError):
    """The object that the path names does not exist, or belongs to another tenant."""

    code = ErrorCode.NOT_FOUND
    status = 404


class SessionExpiredOrNotFound(NotFound):
    """The session does not exist, has ended or has expired."""

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
    """A limit is used up. The caller must wait ``retry_after_seconds``."""

    code = ErrorCode.TOO_MANY_REQUESTS
    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int = 1, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds), **(headers or {})})


class UnexpectedError(LikenessError):
    """The server failed. The message never has details, because the caller sees it."""


class ServiceUnavailable(LikenessError):
    """The server cannot answer now. The caller may try again after ``retry_after_seconds``."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


def raised_errors(root: type[LikenessError] = LikenessError) -> Iterator[type[LikenessError]]:
    """Give the errors of a tree, without the classes that only group others."""
    if "code" in vars(root) or not root.__subclasses__():
        yield root
    for each in root.__subclasses__():
        yield from raised_errors(each)


def codes_of(status: int) -> list[ErrorCode]:
    """Give the codes that come with a status, in the order of :class:`ErrorCode`."""
    codes = {error.code for error in raised_errors() if error.status == status}
    return [code for code in ErrorCode if code in codes]


class SetupError(Exception):
    """The operator must act: a key is missing, a pack is unknown, a hash is wrong. Callers never see this error."""
