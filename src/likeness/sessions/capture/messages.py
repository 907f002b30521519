"""The messages of the capture socket.

The browser sends JSON texts (:class:`Hello` first, then :class:`Command`) and binary frames: two bytes with the length
of a JSON header, the header (:class:`FrameHeader`), the JPEG. The server sends JSON texts only, which docs/sessions.md
lists.
"""

import json
import struct
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from likeness.errors import InvalidInput
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.states import AttemptFailure, EndError
from likeness.web.wire import WireModel

LARGEST_TEXT = 16 * 1024
LARGEST_HEADER_BYTES = 512
_LENGTH = struct.Struct(">H")


class Hello(WireModel):
    """The first message: the browser's token and device, and its wishes. A browser can only make limits stricter."""

    type: Literal["hello"]
    token: Annotated[str, StringConstraints(max_length=4096)]
    device: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")] | None = None
    watch: bool = Field(default=False, description="Do not carry out the session here; only receive its end.")
    max_attempts: Annotated[int, Field(ge=1, le=3)] | None = None
    minimum_match_level: Annotated[int, Field(ge=1, le=5)] | None = None
    return_data_for_incomplete_session: bool = Field(
        default=False,
        description="Give the signed result of an ending without success, unless the session's options decide.",
    )


class Start(WireModel):
    """Begin an attempt, with or without the colour flashes. The camera's name can reveal a virtual camera."""

    type: Literal["start"]
    flash: bool = True
    camera: Annotated[str, StringConstraints(max_length=200)] | None = None


class Take(WireModel):
    """Carry out the session on this device instead of another."""

    type: Literal["take"]


class Qr(WireModel):
    """Ask for the capture URL as a QR code, to continue on a phone."""

    type: Literal["qr"]


class Cancel(WireModel):
    """End the session."""

    type: Literal["cancel"]


Command = Annotated[Start | Take | Qr | Cancel, Field(discriminator="type")]
_commands: TypeAdapter[Start | Take | Qr | Cancel] = TypeAdapter(Command)


class FrameHeader(BaseModel):
    """The browser's statements about a frame. The server does not trust them (see ``likeness.liveness.base.Frame``)."""

    t: float | None = Field(None, description="Milliseconds of the browser's clock at capture.", allow_inf_nan=False)
    flash: int | None = Field(None, description="Index of the flash on the screen at capture.", ge=0, le=1000)


def read_hello(text: str) -> Hello:
    """Read a browser's first message. Raises InvalidInput."""
    try:
        return Hello.model_validate_json(_bounded(text), strict=True)
    except ValidationError as error:
        raise InvalidInput("The first message must be a hello with a capture token.") from error


def read_command(text: str) -> Start | Take | Qr | Cancel:
    """Read a browser's later message. Raises InvalidInput."""
    try:
        return _commands.validate_json(_bounded(text), strict=True)
    except ValidationError as error:
        raise InvalidInput("There is no such message.") from error


def split_frame(message: bytes) -> tuple[FrameHeader, bytes]:
    """Give a frame's header and its JPEG. Raises InvalidInput."""
    if len(message) < _LENGTH.size:
        raise InvalidInput("The frame is cut short.")
    (length,) = _LENGTH.unpack_from(message)
    end = _LENGTH.size + length
    if length > LARGEST_HEADER_BYTES or end >= len(message):
        raise InvalidInput("The frame's header does not fit.")
    try:
        header = FrameHeader.model_validate_json(message[_LENGTH.size : end], strict=True)
    except ValidationError as error:
        raise InvalidInput("The frame's header is not well-formed.") from error
    return header, message[end:]


def pack_frame(jpeg: bytes, *, t: float | None = None, flash: int | None = None) -> bytes:
    """Pack a frame as a browser does. For clients in Python."""
    header = json.dumps({"t": t, "flash": flash}).encode()
    return _LENGTH.pack(len(header)) + header + jpeg


def returns_data(options: SessionOptions, hello: Hello) -> bool:
    """Whether the browser gets the result of an ending without success.

    The session's options decide, else the browser.
    """
    opened = options.return_data_for_incomplete_session
    return hello.return_data_for_incomplete_session if opened is None else opened


def end_message(
    options: SessionOptions,
    jws: str | None,
    error: EndError | None,
    failure: AttemptFailure | None = None,
    *,
    returns_data: bool,
) -> dict[str, Any]:
    """Make the message of a session's end. It has the result of a failure only with ``returns_data``."""
    return {
        "type": "end",
        "code": error,
        "statusCode": failure,
        "jws": jws if error is None or returns_data else None,
        "redirectUrl": str(options.redirect_url) if options.redirect_url else None,
    }


def _bounded(text: str) -> str:
    if len(text) > LARGEST_TEXT:
        raise InvalidInput("The message is too long.")
    return text
