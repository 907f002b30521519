"""Identifiers."""

import random
import re
import secrets
import uuid

OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def new_id() -> str:
    """Give a random UUID (version 4) in its canonical text form."""
    return str(uuid.uuid4())


def new_request_id() -> str:
    """Give a UUID (version 4) that needs not be hard to guess. It costs no call of the system."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def new_object_id() -> str:
    """Give 24 random hexadecimal digits, the form of an audit image's id."""
    return secrets.token_hex(12)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in canonical form (any letter case)."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_object_id(text: str) -> bool:
    """Whether the text has the form that :func:`new_object_id` gives."""
    return OBJECT_ID.fullmatch(text) is not None
