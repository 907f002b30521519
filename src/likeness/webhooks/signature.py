"""The signature of a delivery.

``Likeness-Signature: t=<seconds>,v1=<hex>`` with HMAC-SHA-256 over ``<seconds>.<body>``.
"""

import hashlib
import hmac

SIGNATURE_HEADER = "Likeness-Signature"
TOLERANCE_SECONDS = 300


def sign_body(secret: str, body: bytes, *, now: float) -> str:
    """Give the header's value."""
    seconds = int(now)
    return f"t={seconds},v1={_digest(secret, seconds, body)}"


def verify_body(secret: str, body: bytes, header: str, *, now: float) -> bool:
    """Whether a delivery has a valid signature and is at most five minutes old. A receiver must check this."""
    fields = dict(field.split("=", 1) for field in header.split(",") if "=" in field)
    seconds = fields.get("t", "")
    if not (seconds.isascii() and seconds.isdigit()) or abs(now - int(seconds)) > TOLERANCE_SECONDS:
        return False
    return hmac.compare_digest(_digest(secret, int(seconds), body), fields.get("v1", ""))


def _digest(secret: str, seconds: int, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hex()
