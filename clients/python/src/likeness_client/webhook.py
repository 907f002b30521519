"""The check of a delivery that the server posts to a webhook."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from likeness_client.errors import NotVerified

SIGNATURE_HEADER = "likeness-signature"
TOLERANCE_SECONDS = 300


def verify_webhook(body: bytes, headers: Mapping[str, str], secret: str, *, now: float | None = None) -> str:
    """Give the signed result of a genuine delivery. Raises NotVerified.

    ``body`` is as it was received, and ``headers`` are the request's. ``secret`` is what ``likeness webhook set``
    showed. The signature covers the time of sending, which may be at most five minutes away. Then verify the result
    with ``verify_result``.
    """
    given = next((value for name, value in headers.items() if name.lower() == SIGNATURE_HEADER), "")
    fields = dict(part.split("=", 1) for part in given.split(",") if "=" in part)
    sent = fields.get("t", "")
    if not (sent.isascii() and sent.isdigit() and len(sent) < 16):
        raise NotVerified("the delivery has no signature")
    if abs((time.time() if now is None else now) - int(sent)) > TOLERANCE_SECONDS:
        raise NotVerified("the delivery is too old, or this clock is wrong")
    wanted = hmac.digest(secret.encode(), f"{sent}.".encode() + body, hashlib.sha256).hex()
    if not hmac.compare_digest(wanted.encode(), fields.get("v1", "").encode()):
        raise NotVerified("the delivery's signature is wrong")
    try:
        jws = json.loads(body)["jwsResult"]
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified("the delivery has no result") from error
    return str(jws)
