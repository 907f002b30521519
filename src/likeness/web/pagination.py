"""Cursors that a caller can send back but not forge."""

import base64
import binascii
import hashlib
import hmac

from likeness.errors import InvalidInput

TAG_BYTES = 12
CURSOR_PATTERN = "^[A-Za-z0-9_-]{27}=$"


class Cursors:
    """Signs a position for one audience (a tenant), under a key of the deployment."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, position: int, audience: str) -> str:
        packed = position.to_bytes(8, "big")
        return base64.urlsafe_b64encode(packed + self._tag(packed, audience)).decode()

    def read(self, cursor: str, audience: str) -> int:
        """Give the position of a cursor. Raises InvalidInput for one that was not written for this audience."""
        try:
            raw = base64.urlsafe_b64decode(cursor)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("cursor: must be `next` of an earlier page.") from error
        packed, tag = raw[:8], raw[8:]
        if not hmac.compare_digest(tag, self._tag(packed, audience)):
            raise InvalidInput("cursor: must be `next` of an earlier page.")
        return int.from_bytes(packed, "big")

    def _tag(self, packed: bytes, audience: str) -> bytes:
        return hmac.digest(self._key, packed + audience.encode(), hashlib.sha256)[:TAG_BYTES]
