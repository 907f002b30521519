"""Field types of request and response bodies."""

import base64
import binascii
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema
from pydantic.alias_generators import to_camel

from likeness.errors import PayloadTooLarge

DATA_URL = re.compile(r"\s*data:image/[a-zA-Z0-9.+\-]+;base64,")


def example(**members: Any) -> ConfigDict:
    """Give the model configuration that shows an example in the API's description."""
    return ConfigDict(json_schema_extra={"example": members})


class WireModel(BaseModel):
    """Fields are snake_case in Python and camelCase on the wire; unknown members are let through unread."""

    # A validation error that is logged must not quote what was sent.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


Level = Annotated[int, Field(ge=1, le=5)]
"""A match level that can be asked for; see ``likeness.engine.levels``."""


def _decode_photo(value: object, info: ValidationInfo) -> bytes:
    if isinstance(value, str):
        value = decode_base64(value)
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
            "examples": ["/9j/4AAQSkZJRgABAQAAAQABAAD..."],
        }
    ),
]
"""A photo field: base64 (RFC 4648 §4, white space and a data URL's prefix accepted) in JSON, a file in a form."""


def decode_base64(text: str) -> bytes:
    """Decode strictly but for white space and a leading ``data:image/...;base64,``. Raises ValueError."""
    prefix = DATA_URL.match(text)
    if prefix:
        text = text[prefix.end() :]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("is not valid base64") from error


def faults_of(error: ValidationError) -> str:
    """Tell what is wrong with which field, without the input itself: it may be a face, or a secret."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults
    )
