"""The keys of signed tokens, and how long what they sign may live. ``likeness.kit.jose`` signs and verifies."""

from dataclasses import dataclass

ALGORITHM = "RS256"
KEY_BITS = 2048
LONGEST_LIFE_SECONDS = 86_400
"""The longest life of a token (see the bounds in ``likeness.settings``). A token with a longer one is refused."""
TOLERATED_SECONDS = 60
"""How far a clock may be behind the clock that issued a token.

It may be a relying party's clock, or this server's after it was set back.
"""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key with its id. ``private_pem`` is stored sealed."""

    kid: str
    private_pem: bytes
    ends_at: float | None = None
    """When all that it signed has expired, in seconds since the Unix epoch. None for the key that signs."""

    @classmethod
    def generate(cls) -> "SigningKey":
        from joserfc.jwk import RSAKey  # noqa: PLC0415  a tenth of what most commands import, and they sign nothing

        key = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": ALGORITHM})
        return cls(key.thumbprint(), key.as_pem(private=True))
