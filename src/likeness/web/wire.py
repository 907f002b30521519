"""Field types of request and response bodies."""

import binascii
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import pybase64
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema
from pydantic.alias_generators import to_camel

from likeness.errors import PayloadTooLarge
from likeness.web.json_object import CHUNK_BYTES, LongText

DATA_URL = re.compile(rb"\s*data:[^,]{0,1024};\s*base64\s*,", re.IGNORECASE)
"""The beginning of a data URL (RFC 2397). Its type is ignored: the bytes decide what kind of photo it is."""
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Control characters, and those that change a line's direction. With them a text could forge a terminal's output."""
LONGEST_NAME_SHOWN = 64
LAST_YEAR = 9000
"""A year that no time is after, so that each can be written in any zone."""
MOST_FAULTS_SHOWN = 8
WHITE_SPACE = b" \t\r\n\f\v"


def example(**members: Any) -> ConfigDict:
    """Give the model configuration that shows an example in the API's description."""
    return ConfigDict(json_schema_extra={"example": members})


class WireModel(BaseModel):
    """A body whose fields are snake_case in Python and camelCase on the wire. Unknown members are ignored."""

    # A logged validation error must not quote the input.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


EXAMPLE_PHOTO = "/9j/4AAQSkZJRgABAQAAAQABAAD/2w=="
EXAMPLE_ID = "5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2"

Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


def _read_time(value: object) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year > LAST_YEAR:
        raise ValueError("must be a time with a date and an offset from UTC, such as 2030-12-31T00:00:00Z")
    return moment.timestamp()


GivenTime = Annotated[
    float, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64})
]
"""A time that the caller gives. Its value is in seconds since the Unix epoch."""
Level = Annotated[int, Field(ge=1, le=5)]
"""A match level, 1 to 5 (see ``likeness.engine.levels``)."""


def _decode_photo(value: object, info: ValidationInfo) -> bytes:
    if isinstance(value, str):
        value = decode_base64(_chunks(value.encode(errors="surrogatepass")))
    elif isinstance(value, LongText):
        value = decode_base64(value.chunks())
    if not isinstance(value, bytes):
        raise ValueError("must be a base64 string or a file")  # noqa: TRY004  pydantic collects ValueErrors
    if not value:
        raise ValueError("is empty")
    limit = (info.context or {}).get("image_bytes")
    if limit is not None and len(value) > limit:
        raise PayloadTooLarge(f"A photo may have at most {limit} bytes.")
    return value


Photo = Annotated[
    bytes,
    BeforeValidator(_decode_photo),
    WithJsonSchema(
        {
            "type": "string",
            "format": "byte",
            "description": "JPEG or PNG, base64; at most 5 MB decoded.",
            "examples": [EXAMPLE_PHOTO],
        }
    ),
]
"""A photo field: base64 (RFC 4648 §4, white space and a data URL's beginning accepted) or a file of a form."""


def decode_base64(chunks: Iterable[bytes]) -> bytes:
    """Decode base64 strictly, except that white space and a data URL's beginning are allowed.

    The first chunk must have that beginning whole. The work is done chunk by chunk, because each call of the decoder
    holds the interpreter until it ends. Raises ValueError.
    """
    decoded: list[bytes] = []
    rest, over = b"", False
    for nth, chunk in enumerate(chunks):
        prefix = DATA_URL.match(chunk) if nth == 0 else None
        rest += chunk[prefix.end() :] if prefix else chunk
        try:
            whole = _whole(rest, over=over)
        except ValueError:  # white space is rare, and the search for it takes longer than the decoding
            rest = rest.translate(None, WHITE_SPACE)
            whole = _whole(rest, over=over)
        decoded.append(whole)
        at = len(rest) - len(rest) % 4
        over = over or rest.endswith(b"=", 0, at)
        rest = rest[at:]
    decoded.append(_decode_strictly(rest.translate(None, WHITE_SPACE), over=over))
    return b"".join(decoded)


def _whole(text: bytes, *, over: bool) -> bytes:
    """Decode a text's whole groups of four characters. Raises ValueError."""
    return _decode_strictly(text[: len(text) - len(text) % 4], over=over)


def _decode_strictly(text: bytes, *, over: bool) -> bytes:
    try:
        if over and text:
            raise binascii.Error("data after the padding")  # noqa: TRY301  as within a chunk
        return pybase64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("is not valid base64 (RFC 4648 section 4: letters, digits, + and /, padded with =)") from error


def _chunks(text: bytes) -> Iterable[bytes]:
    return (text[start : start + CHUNK_BYTES] for start in range(0, len(text), CHUNK_BYTES))


def faults_of(error: ValidationError) -> str:
    """Describe the faults of each field, without the input, which may be a face or a secret."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(name)[:LONGEST_NAME_SHOWN] for name in fault['loc']) or 'body'}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:MOST_FAULTS_SHOWN]
    )
