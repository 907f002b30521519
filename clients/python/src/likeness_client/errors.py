"""What can go wrong with a call.

LikenessError
├── ApiError            the server refused: ``code``, ``status``, ``request_id``
│   ├── FaceRefused     the photo shows no face that can be used
│   ├── Unauthorized    the credentials or the address of the client are wrong, or it lacks the permission
│   ├── NotFound        the entry, the session or the image is gone, or never existed
│   └── Busy            the server had no room, or a limit is used up, also after the repeats
├── NoAnswer            no answer came
└── NotVerified         a result or a delivery is not what it should be
"""

import httpx


class LikenessError(Exception):
    """The root of this package's errors."""


class ApiError(LikenessError):
    """The server refused the call. ``code`` is one of docs/api.md; ``reasons`` are those of ``LOW_QUALITY``."""

    def __init__(
        self, message: str, *, code: str, status: int, request_id: str | None = None, reasons: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.request_id = request_id
        self.reasons = reasons


class FaceRefused(ApiError):
    """The photo shows no face that can be used: ``NO_FACE``, ``MULTIPLE_FACES`` or ``LOW_QUALITY``."""


class Unauthorized(ApiError):
    """The credentials are wrong (401), or the client lacks the permission (403)."""


class NotFound(ApiError):
    """The object is unknown, gone, or another tenant's."""


class Busy(ApiError):
    """A limit is used up (429) or the server has no room (503), and the repeats did not help."""


class NoAnswer(LikenessError):
    """The connection failed. Whether the server carried the call out is unknown."""


class NotVerified(LikenessError):
    """A signed result or a delivery is forged, too old, or of another session. Do not use it."""


_FACES = {"NO_FACE", "MULTIPLE_FACES", "LOW_QUALITY"}
_KINDS: dict[int, type[ApiError]] = {401: Unauthorized, 403: Unauthorized, 404: NotFound, 429: Busy, 503: Busy}


def error_of(response: httpx.Response) -> ApiError:
    """Give the error of a refusal. A proxy's own refusal has no code of the API, so it gets ``UNEXPECTED_ERROR``."""
    try:
        body = response.json()
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    code = str(body.get("error") or "UNEXPECTED_ERROR")
    message = str(body.get("message") or body.get("error_description") or f"HTTP {response.status_code}")
    kind = FaceRefused if code in _FACES else _KINDS.get(response.status_code, ApiError)
    return kind(
        message,
        code=code,
        status=response.status_code,
        request_id=response.headers.get("x-request-id"),
        reasons=tuple(str(reason) for reason in body.get("reasons") or ()),
    )
