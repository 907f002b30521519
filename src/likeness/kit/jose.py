"""Signed tokens (RFC 7515, 7517, 7519): RS256 keys, their public set, signing and verifying."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"
KEY_BITS = 2048


class InvalidToken(Exception):
    """A token that is malformed, wrongly signed, expired or meant for somebody else."""


class ExpiredToken(InvalidToken):
    """A token that was good and is past its time."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key with its id; ``private_pem`` is what is stored, sealed."""

    kid: str
    private_pem: bytes

    @classmethod
    def generate(cls) -> "SigningKey":
        key = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": ALGORITHM})
        return cls(key.thumbprint(), key.as_pem(private=True))


class Signer:
    """Signs with the newest key and verifies with every key given. Thread-safe."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        """Take the keys, newest first."""
        imported = [
            RSAKey.import_key(key.private_pem, {"kid": key.kid, "use": "sig", "alg": ALGORITHM}) for key in keys
        ]
        self._current = imported[0]
        self._set = KeySet(list(imported))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Give the claims as a JWS in compact form, with the key's ``kid`` in the header."""
        return jwt.encode({"alg": ALGORITHM, "kid": self._current.kid}, dict(claims), self._current, [ALGORITHM])

    def verify(self, token: str, *, issuer: str, audience: str, now: float) -> dict[str, Any]:
        """Give the claims of a token that is ours, for ``audience``, and within its time.

        Raises InvalidToken.
        """
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=0,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self._set, [ALGORITHM])
            registry.validate(decoded.claims)
        except ExpiredTokenError as error:
            raise ExpiredToken from error
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken(type(error).__name__) from error
        return decoded.claims

    def public_set(self) -> dict[str, Any]:
        """Give the JWK Set (RFC 7517 §5) of the public halves."""
        return cast("dict[str, Any]", self._set.as_dict(private=False))
