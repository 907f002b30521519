"""Signed tokens (RFC 7515, 7517, 7519): RS256 keys, their public set, signing and verifying."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, RSAKey

from likeness.kit.signing_key import ALGORITHM, LONGEST_LIFE_SECONDS, TOLERATED_SECONDS, SigningKey

MOST_REMEMBERED = 1024
"""Tokens that are remembered. A client needs one token in half an hour."""


class InvalidToken(Exception):
    """A token that is malformed, wrongly signed, expired, of another type or for another audience."""


class ExpiredToken(InvalidToken):
    """A token that has expired, but is valid otherwise."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A verified token. It and its key are valid while ``begins <= now < ends``."""

    claims: dict[str, Any]
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys, newest first, the end of each, and the verified tokens.

    They change together, so no remembered token outlives its key.
    """

    all: tuple[tuple[RSAKey, float | None], ...]
    seen: dict[tuple[str, str, str, bytes], _Verified] = field(default_factory=dict)
    """Verified tokens by type, issuer, audience and the token's hash."""

    def live(self, now: float) -> KeySet:
        return KeySet([key for key, ends_at in self.all if ends_at is None or now < ends_at])


class Signer:
    """Signs with the newest key and verifies with every key that has not ended. Thread-safe."""

    def __init__(self, keys: Sequence[SigningKey], renew: Callable[["Signer"], Awaitable[None]] | None = None) -> None:
        """Take the keys, newest first, and what takes up newer ones."""
        self._renew = renew
        self.use(keys)

    async def renew(self) -> None:
        """Take up new keys, which another server may sign with already."""
        if self._renew:
            await self._renew(self)

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Sign and verify with these keys from now on, newest first."""
        self._keys = _Keys(
            tuple(
                (RSAKey.import_key(key.private_pem, {"kid": key.kid, "use": "sig", "alg": ALGORITHM}), key.ends_at)
                for key in keys
            )
        )

    @property
    def ends(self) -> dict[str, float | None]:
        """The keys' ids, newest first, and when each ends."""
        return {str(key.kid): ends_at for key, ends_at in self._keys.all}

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Give the claims as a JWS in compact form, with the key's ``kid`` and the kind of token in the header.

        Each kind has a ``typ`` of its own (RFC 8725 §3.11). So none passes for another, whatever its claims are.
        """
        current, _ = self._keys.all[0]
        header = {"alg": ALGORITHM, "kid": current.kid, "typ": typ}
        return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")), current, [ALGORITHM])

    def verify(self, token: str, *, typ: str, issuer: str, audience: str, now: float) -> dict[str, Any]:
        """Give the claims of a valid token of this kind, of ``issuer`` for ``audience``. Raises InvalidToken.

        A token is remembered, so its signature is verified only once.
        """
        keys = self._keys
        name = typ, issuer, audience, hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        seen = keys.seen.get(name)
        if seen is None or not seen.begins <= now < seen.ends:
            seen = _verified(token, keys, typ=typ, issuer=issuer, audience=audience, now=now)
            if len(keys.seen) >= MOST_REMEMBERED:
                keys.seen.clear()
            keys.seen[name] = seen
        return dict(seen.claims)

    async def verify_any(self, token: str, *, typ: str, issuer: str, audience: str, now: float) -> dict[str, Any]:
        """Verify like ``verify``. For a token of an unknown key, take up new keys first."""
        try:
            return self.verify(token, typ=typ, issuer=issuer, audience=audience, now=now)
        except InvalidToken:
            if _kid_of(token) in {None, *self.ends}:
                raise
        await self.renew()
        return self.verify(token, typ=typ, issuer=issuer, audience=audience, now=now)

    def public_set(self, *, now: float) -> dict[str, Any]:
        """Give the JWK Set (RFC 7517 §5) of the public halves."""
        return cast("dict[str, Any]", self._keys.live(now).as_dict(private=False))


def claims_of(token: str) -> dict[str, Any]:
    """Give the claims of a token without verification."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(f"{payload}=="))
    return claims


def _kid_of(token: str) -> str | None:
    """Give the key that a token names, unverified. None if it names none."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError):
        return None
    return kid if isinstance(kid, str) else None


def _verified(token: str, keys: _Keys, *, typ: str, issuer: str, audience: str, now: float) -> _Verified:
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=TOLERATED_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        iat={"essential": True},
        exp={"essential": True},
    )
    try:
        decoded = jwt.decode(token, keys.live(now), [ALGORITHM])
        claims = decoded.claims
        registry.validate(claims)
    except ExpiredTokenError as error:
        raise ExpiredToken from error
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidToken(type(error).__name__) from error
    if decoded.header.get("typ") != typ:
        raise InvalidToken("it is another kind of token")
    if claims["exp"] <= int(now):  # without tolerance: the clock that set the end is this one
        raise ExpiredToken
    if claims["exp"] - claims["iat"] > LONGEST_LIFE_SECONDS:
        raise InvalidToken("its life is longer than that of any token of this server")
    # Without a ``kid`` any key may have signed. Then the token ends with the first of them.
    signers = [ends_at for key, ends_at in keys.all if decoded.header.get("kid") in {key.kid, None}]
    return _Verified(
        claims,
        begins=max(claims["iat"], claims.get("nbf", 0)) - TOLERATED_SECONDS,
        ends=min([claims["exp"], *(ends_at for ends_at in signers if ends_at is not None)]),
    )
