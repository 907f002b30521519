"""The signatures of a page's frames."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from likeness.errors import InvalidInput
from likeness.sessions.capture.signing import FrameSigner

JPEG = b"\xff\xd8 a picture"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def point_of(key: EllipticCurvePrivateKey) -> str:
    return base64url(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def sign(key: EllipticCurvePrivateKey, content: bytes) -> str:
    return base64url(b"".join(each.to_bytes(32) for each in decode_dss_signature(key.sign(content, ECDSA(SHA256())))))


def test_the_pages_own_frames_are_signed() -> None:
    key = generate_private_key(SECP256R1())
    signer = FrameSigner.of(point_of(key))
    assert signer.has_signed(JPEG, sign(key, signer.nonce.encode() + JPEG))


def test_other_frames_keys_and_connections_are_not() -> None:
    key = generate_private_key(SECP256R1())
    signer, earlier = FrameSigner.of(point_of(key)), FrameSigner.of(point_of(key))
    signature = sign(key, signer.nonce.encode() + JPEG)
    assert not signer.has_signed(JPEG + b"\0", signature)
    assert not earlier.has_signed(JPEG, signature)
    assert not signer.has_signed(JPEG, sign(generate_private_key(SECP256R1()), signer.nonce.encode() + JPEG))
    assert not FrameSigner.of(None).has_signed(JPEG, signature)


@pytest.mark.parametrize("signature", [None, "", "A" * 86, "A" * 85, "="])
def test_what_is_no_signature_is_none(signature: str | None) -> None:
    signer = FrameSigner.of(point_of(generate_private_key(SECP256R1())))
    assert not signer.has_signed(JPEG, signature)


@pytest.mark.parametrize("point", ["A" * 87, "", "BA"])
def test_a_key_that_is_no_point_is_refused(point: str) -> None:
    with pytest.raises(InvalidInput, match="P-256"):
        FrameSigner.of(point)
