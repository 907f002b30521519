"""The key that signs seals and receipts: Ed25519, derived from the deployment's key.

It is not a key of access tokens, because those end after a day, and a seal must be verified for years. A signature is a
JWS in compact form (RFC 7515, RFC 8037). ``typ`` keeps the kinds of signed statements apart.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from likeness.errors import SetupError

SEAL, ANCHOR, RECEIPT = "likeness-seal+jwt", "likeness-anchor+jwt", "likeness-receipt+jwt"
BACKUP = "likeness-backup+jwt"
EVIDENCE = "likeness-evidence+jwt"


class StatementSigner:
    """Signs statements and opens its own. Thread-safe."""

    def __init__(self, secret: bytes) -> None:
        """``secret``: 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._public = self._key.public_key()
        members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(self._public.public_bytes_raw())}
        self._kid = _encoded(hashlib.sha256(_json(members)).digest())  # RFC 7638

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key (RFC 8037), with which anybody can verify."""
        x = _encoded(self._public.public_bytes_raw())
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self._kid, "use": "sig", "alg": "EdDSA"}

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Give the claims as a JWS."""
        header = {"alg": "EdDSA", "kid": self._kid, "typ": kind}
        content = f"{_encoded(_json(header))}.{_encoded(_json(claims))}"
        return f"{content}.{_encoded(self._key.sign(content.encode()))}"

    def open(self, kind: str, jws: str) -> dict[str, Any]:
        """Give the claims of a JWS of this kind and key. Raises SetupError for any other text."""
        try:
            content, _, signature = jws.rpartition(".")
            self._public.verify(_decoded(signature), content.encode())
            header, claims = (json.loads(_decoded(part)) for part in content.split("."))
        except (ValueError, InvalidSignature) as error:  # an error of base64 is a ValueError
            raise _invalid(kind) from error
        if header["typ"] != kind:  # this key signed it, so it has these members
            raise _invalid(kind)
        return dict(claims)


def _invalid(kind: str) -> SetupError:
    return SetupError(f"a {kind.partition('+')[0]} does not verify: it was altered or has another key")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
