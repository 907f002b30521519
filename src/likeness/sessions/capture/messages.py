"""The messages of the capture socket.

The browser sends JSON texts (:class:`Hello` first, then :class:`Command`) and binary frames: two bytes with the length
of a JSON header, the header (:class:`FrameHeader`), the JPEG. The server sends JSON texts only, which docs/sessions.md
lists.
"""

import json
import math
import struct
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from likeness.errors import InvalidInput
from likeness.liveness.base import DeclaredCamera
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.states import AttemptFailure, EndError
from likeness.tenants.schemas import TenantSettings
from likeness.web.wire import WireModel

LARGEST_TEXT = 16 * 1024
LARGEST_HEADER_BYTES = 512
LONGEST_ATTESTATION = 10 * 1024
_LENGTH = struct.Struct(">H")


class Hello(WireModel):
    """The first message: the browser's token and device, and its wishes. A browser can only make limits stricter."""

    type: Literal["hello"]
    token: Annotated[str, StringConstraints(max_length=4096)]
    device: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")] | None = None
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{87}$")] | None = Field(
        None, description="The public key that signs this connection's frames: see sessions.capture.signing."
    )
    attestation: Annotated[str, StringConstraints(max_length=LONGEST_ATTESTATION)] | None = Field(
        None, description="A token in which the platform of a native app vouches for app and device."
    )
    watch: bool = Field(default=False, description="Do not carry out the session here; only receive its end.")
    max_attempts: Annotated[int, Field(ge=1, le=3)] | None = None
    minimum_match_level: Annotated[int, Field(ge=1, le=5)] | None = None
    return_data_for_incomplete_session: bool = Field(
        default=False,
        description="Give the signed result of an ending without success, unless the session's options decide.",
    )


Measure = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class CameraTrack(WireModel):
    """The browser's statements about the camera's track."""

    kind: Annotated[str, StringConstraints(max_length=64)] | None = None
    listed: bool | None = None
    native: bool | None = None
    width: Measure | None = None
    height: Measure | None = None
    frame_rate: Measure | None = None
    most_width: Measure | None = None
    most_height: Measure | None = None
    most_frame_rate: Measure | None = None


class Start(WireModel):
    """Begin an attempt, with or without the colour flashes. The camera's facts can reveal a virtual camera."""

    type: Literal["start"]
    flash: bool = True
    camera: Annotated[str, StringConstraints(max_length=200)] | None = None
    track: CameraTrack = CameraTrack()

    def declared(self) -> DeclaredCamera:
        """Give the browser's statements about its camera."""
        track = self.track
        return DeclaredCamera(
            label=self.camera,
            track=track.kind,
            listed=track.listed,
            native=track.native,
            width=track.width,
            height=track.height,
            frames_per_second=track.frame_rate,
            most_width=track.most_width,
            most_height=track.most_height,
            most_frames_per_second=track.most_frame_rate,
        )


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
    media: float | None = Field(None, description="Milliseconds of the camera's clock.", allow_inf_nan=False)
    number: int | None = Field(None, description="Frames that the camera gave so far.", ge=0, le=2**53)
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86}$")] | None = Field(
        None, description="ECDSA (P-256, SHA-256) of the connection's nonce and the JPEG, in base64url."
    )


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


def pack_frame(jpeg: bytes, *, t: float | None = None, flash: int | None = None, **more: Any) -> bytes:
    """Pack a frame as a browser does. ``more`` are further members of the header. For clients in Python."""
    header = json.dumps({"t": t, "flash": flash, **more}).encode()
    return _LENGTH.pack(len(header)) + header + jpeg


def returns_data(options: SessionOptions, hello: Hello) -> bool:
    """Whether the browser gets the result of an ending without success.

    The session's options decide, else the browser.
    """
    opened = options.return_data_for_incomplete_session
    return hello.return_data_for_incomplete_session if opened is None else opened


def privacy_notice(settings: TenantSettings, options: SessionOptions, *, image_seconds: int) -> dict[str, Any] | None:
    """Say who asks for the session, what for, and how long its pictures stay. None if the tenant says nothing.

    ``enrolledDays`` is null if the session enrols nobody, and 0 if an enrolled person has no end.
    """
    purpose = {"en": settings.privacy_purpose, "ar": settings.privacy_purpose_ar or settings.privacy_purpose}
    if not (settings.privacy_name or settings.privacy_url or any(purpose.values())):
        return None
    return {
        "name": settings.privacy_name,
        "purpose": purpose,
        "url": settings.privacy_url,
        "pictureMinutes": math.ceil(image_seconds / 60),
        "enrolledDays": (settings.entry_days or 0) if options.one_to_n == "insert" else None,
    }


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
