"""Clients' secrets: random, shown once, and told from made-up ones without asking the database.

A secret is 32 random bytes and a mark, the MAC of them and of the client's id under a key of the deployment. A text
without the mark is no secret, so guesses cost one MAC, whatever id they name. A secret with a mark was given out once;
whether it still holds is said by its fingerprint in the database. Guessing 256 random bits is out of reach, so nothing
here is slow on purpose.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

RANDOM_BYTES = 32
MARK_BYTES = 16


class ClientSecrets:
    """Makes and knows the secrets of one deployment, whose key it is given."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self, client_id: str) -> str:
        random = secrets.token_bytes(RANDOM_BYTES)
        return base64.urlsafe_b64encode(random + self._mark(client_id, random)).decode()

    def was_given(self, client_id: str, secret: str) -> bool:
        """Whether this was ever the secret of a client of that id."""
        try:
            content = base64.b64decode(secret, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        random, mark = content[:RANDOM_BYTES], content[RANDOM_BYTES:]
        return hmac.compare_digest(mark, self._mark(client_id, random))

    def fingerprint(self, client_id: str, secret: str) -> str:
        """Give what the database holds of a secret."""
        return self._mac("fingerprint", client_id, secret.encode()).hex()

    def holds(self, client_id: str, secret: str, fingerprint: str) -> bool:
        """Whether this is the secret that the database has the fingerprint of."""
        return hmac.compare_digest(self.fingerprint(client_id, secret).encode(), fingerprint.encode())

    def _mark(self, client_id: str, random: bytes) -> bytes:
        return self._mac("mark", client_id, random)[:MARK_BYTES]

    def _mac(self, purpose: str, client_id: str, content: bytes) -> bytes:
        # Between the two a byte that stands in no id, so that no id with a secret is another id with another.
        named = f"{purpose} {client_id}".encode(errors="surrogatepass") + b"\xff"
        return hmac.digest(self._key, named + content, hashlib.sha256)
