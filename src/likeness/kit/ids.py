"""Identifiers."""

import secrets
import uuid


def new_id() -> str:
    """Give a random UUID (version 4) in its canonical text form."""
    return str(uuid.uuid4())


def new_object_id() -> str:
    """Give 24 random hexadecimal digits, the form of an audit image's id."""
    return secrets.token_hex(12)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in canonical form (any letter case)."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
