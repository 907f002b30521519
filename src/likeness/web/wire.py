"""Field types of request and response bodies."""

import binascii
import re
from collections.abc import Iterable
from typing import Annotated, Any

import pybase64
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema
from pydantic.alias_generators import to_camel

from likeness.errors import PayloadTooLarge
from likeness.web.json_object import CHUNK_BYTES, LongText

DATA_URL = re.compile(rb"\s*data:[^,]{0,1024};\s*base64\s*,", re.IGNORECASE)
"""How a data URL (RFC 2397) begins. Its type is not believed: a photo is told from its bytes."""
LONGEST_NAME_SHOWN = 64
MOST_FAULTS_SHOWN = 8
WHITE_SPACE = b" \t\r\n\f\v"


def example(**members: Any) -> ConfigDict:
    """Give the model configuration that shows an example in the API's description."""
    return ConfigDict(json_schema_extra={"example": members})


class WireModel(BaseModel):
    """Fields are snake_case in Python and camelCase on the wire; unknown members are let through unread."""

    # A validation error that is logged must not quote what was sent.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


EXAMPLE_PHOTO = "/9j/4AAQSkZJRgABAQAAAQABAAD/2w=="
EXAMPLE_ID = "5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2"

Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Level = Annotated[int, Field(ge=1, le=5)]
"""A match level that can be asked for; see ``likeness.engine.levels``."""


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
    """Decode strictly but for white space and a data URL's beginning, which the first chunk has whole.

    Raises ValueError.

    Chunk by chunk, since each call keeps the interpreter until it is done.
    """
    decoded, rest, over = bytearray(), b"", False
    for nth, chunk in enumerate(chunks):
        prefix = DATA_URL.match(chunk) if nth == 0 else None
        rest += chunk[prefix.end() :] if prefix else chunk
        try:
            whole = _whole(rest, over=over)
        except ValueError:  # looking for white space takes longer than decoding, and mostly there is none
            rest = rest.translate(None, WHITE_SPACE)
            whole = _whole(rest, over=over)
        decoded += whole
        at = len(rest) - len(rest) % 4
        over = over or rest.endswith(b"=", 0, at)
        rest = rest[at:]
    decoded += _decode_strictly(rest.translate(None, WHITE_SPACE), over=over)
    return bytes(decoded)


def _whole(text: bytes, *, over: bool) -> bytes:
    """Decode the groups of four that a text has. Raises ValueError."""
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
    """Tell what is wrong with which field, without the input itself: it may be a face, or a secret."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(name)[:LONGEST_NAME_SHOWN] for name in fault['loc']) or 'body'}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:MOST_FAULTS_SHOWN]
    )
