"""Clients' secrets. Each is random and shown once. Invented secrets are refused without a query of the database.

A secret is 32 random bytes and a mark. The mark is the MAC of these bytes and the client's id under a key of the
deployment. A text without the right mark was never a secret, so a guess costs one MAC for any id. A text with the right
mark was issued once. The fingerprint in the database says whether it is still valid. No attacker can guess 256 random
bits, so no step here is slow on purpose.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

RANDOM_BYTES = 32
MARK_BYTES = 16


class ClientSecrets:
    """Makes and recognises the secrets of one deployment. ``key`` is a key of the deployment."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self, client_id: str) -> str:
        """Make a secret for a client: 64 characters of base64url."""
        random = secrets.token_bytes(RANDOM_BYTES)
        return base64.urlsafe_b64encode(random + self._mark(client_id, random)).decode()

    def was_given(self, client_id: str, secret: str) -> bool:
        """Whether this was ever a secret of the client."""
        try:
            content = base64.b64decode(secret, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        random, mark = content[:RANDOM_BYTES], content[RANDOM_BYTES:]
        return hmac.compare_digest(mark, self._mark(client_id, random))

    def fingerprint(self, client_id: str, secret: str) -> str:
        """Give the fingerprint of a secret, in hexadecimal. The database has only the fingerprint."""
        return self._mac("fingerprint", client_id, secret.encode()).hex()

    def holds(self, client_id: str, secret: str, fingerprint: str) -> bool:
        """Whether this secret has this fingerprint."""
        return hmac.compare_digest(self.fingerprint(client_id, secret).encode(), fingerprint.encode())

    def _mark(self, client_id: str, random: bytes) -> bytes:
        return self._mac("mark", client_id, random)[:MARK_BYTES]

    def _mac(self, purpose: str, client_id: str, content: bytes) -> bytes:
        # No id contains the byte 0xff. So two different pairs of id and content never give the same bytes.
        named = f"{purpose} {client_id}".encode(errors="surrogatepass") + b"\xff"
        return hmac.digest(self._key, named + content, hashlib.sha256)
