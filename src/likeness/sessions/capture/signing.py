"""The signatures of a page's frames.

A page makes an ECDSA key (P-256) that its own code cannot export, and tells the public half in its ``hello``. It signs
the connection's nonce and the JPEG of each frame. So a frame that comes from elsewhere, or from an earlier connection,
is noticed.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from likeness.errors import InvalidInput

_HALF = 32
"""Bytes of each of a signature's two numbers."""


@dataclass(frozen=True, slots=True)
class FrameSigner:
    """The key of one connection's page, or none, and the nonce of the connection."""

    key: EllipticCurvePublicKey | None = None
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    def of(cls, point: str | None) -> "FrameSigner":
        """Take the key of a hello: an uncompressed point in base64url. Raises InvalidInput."""
        if point is None:
            return cls()
        try:
            return cls(EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _decode(point)))
        except (ValueError, binascii.Error) as error:
            raise InvalidInput("The hello's key is no point of P-256.") from error

    def has_signed(self, jpeg: bytes, signature: str | None) -> bool:
        """Whether the page's key signed a frame of this connection."""
        if self.key is None or signature is None:
            return False
        try:
            packed = _decode(signature)
            numbers = (int.from_bytes(half) for half in (packed[:_HALF], packed[_HALF:]))
            self.key.verify(encode_dss_signature(*numbers), self.nonce.encode() + jpeg, ECDSA(SHA256()))
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
