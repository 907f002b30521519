"""Client authentication by a signed assertion in place of a secret: ``private_key_jwt`` (RFC 7523, OpenID Connect §9).

The client signs a short-lived JWT with its private key. The server has only the public keys. In place of the client,
an issuer that the client's settings name may sign, such as the operator's identity provider or a cluster.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from likeness.access.repository import ClientRow
from likeness.errors import InvalidInput, TooManyRequests
from likeness.kit.clock import Clock
from likeness.kit.signing_key import LONGEST_LIFE_SECONDS, TOLERATED_SECONDS

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}
"""The accepted algorithms, each with the kind of its key."""
TYPES = frozenset({None, "JWT", "client-authentication+jwt"})
"""The accepted kinds of token. Other kinds, such as access tokens, have other names."""
LONGEST_SECONDS = 300
LEAST_RSA_BITS = 2048
LONGEST_JTI = 256
MOST_REMEMBERED = 1000
"""Assertions of a client that are remembered until they end, so that none is accepted twice."""
PRIVATE = "The file has a private key. Give the public one: the private one stays with the client."


class Assertions:
    """Verifies clients' assertions. Each of their own is accepted once, and none that was made before this object.

    So nobody can use an assertion again after a restart. The clock of its client may not be ahead, though.
    """

    def __init__(self, clock: Clock, *, issuer: str) -> None:
        self._clock = clock
        self._audiences = {issuer, f"{issuer}/api/oauth/token"}
        self._began = int(clock.now())
        self._seen: dict[str, dict[str, float]] = {}
        """By client, the ``jti`` of each accepted assertion, and when it no longer matters."""

    def accepts(self, client: ClientRow, assertion: str) -> bool:
        """Whether the client made this assertion for this server, now, and for the first time.

        A client with an issuer of its own shows that issuer's JWT for its subject instead. Such a JWT may be shown
        again until it ends. Raises TooManyRequests if the client made too many assertions in a few minutes.
        """
        settings, now = client.settings, self._clock.now()
        claims = _signed_claims(assertion, settings.keys) if settings else None
        if settings is None or claims is None or not self._is_for_us(claims, now):
            return False
        if settings.issuer is not None:
            return (claims.get("iss"), claims.get("sub")) == (settings.issuer, settings.subject) and claims[
                "exp"
            ] - claims["iat"] <= LONGEST_LIFE_SECONDS
        return self._is_own(claims, client.id, now) and self._is_new(claims, client.id, now)

    def _is_for_us(self, claims: Mapping[str, Any], now: float) -> bool:
        """Whether a JWT is for this server, and for this moment."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        times = [claims.get("iat"), claims.get("exp"), claims.get("nbf", 0)]
        if not all(type(each) in {int, float} for each in times):
            return False
        issued_at, ends_at, begins_at = times
        return (
            any(isinstance(each, str) and each in self._audiences for each in audiences)
            and max(issued_at, begins_at) <= now + TOLERATED_SECONDS
            and now - TOLERATED_SECONDS < ends_at
        )

    def _is_own(self, claims: Mapping[str, Any], client_id: str, now: float) -> bool:
        jti = claims.get("jti")
        return (
            claims.get("iss") == claims.get("sub") == client_id
            and isinstance(jti, str)
            and 0 < len(jti) <= LONGEST_JTI
            and max(self._began, now - LONGEST_SECONDS - TOLERATED_SECONDS) <= claims["iat"]
            and claims["exp"] <= now + LONGEST_SECONDS + TOLERATED_SECONDS
        )

    def _is_new(self, claims: Mapping[str, Any], client_id: str, now: float) -> bool:
        seen = {jti: until for jti, until in self._seen.get(client_id, {}).items() if until > now}
        if claims["jti"] in seen:
            return False
        if len(seen) >= MOST_REMEMBERED:
            raise TooManyRequests("Too many assertions of this client: use its tokens until they end.")
        self._seen[client_id] = seen | {claims["jti"]: claims["exp"] + TOLERATED_SECONDS}
        return True


def subject_of(assertion: str) -> str:
    """Give the client that an assertion names, unverified. It may be empty."""
    return _claim(assertion, "sub")


def jti_of(assertion: str) -> str:
    """Give the id of an assertion, which is verified already."""
    return _claim(assertion, "jti")


def _claim(assertion: str, name: str) -> str:
    try:
        value = json.loads(jws.extract_compact(assertion.encode()).payload).get(name)
    except (JoseError, ValueError, AttributeError):
        return ""
    return value if isinstance(value, str) else ""


def _signed_claims(assertion: str, keys: tuple[Mapping[str, str], ...]) -> dict[str, Any] | None:
    """Give the claims that one of the keys signed, or None."""
    try:
        header = jws.extract_compact(assertion.encode()).headers()
    except (JoseError, ValueError):
        return None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or header.get("typ") not in TYPES:
        return None
    fitting = [key for key in keys if key["kty"] == ALGORITHMS[algorithm]]
    for key in [key for key in fitting if key.get("kid") == kid] or fitting:
        try:
            return dict(jwt.decode(assertion, import_key(dict(key)), [algorithm]).claims)
        except (JoseError, ValueError, TypeError):
            continue
    return None


def read_keys(text: str) -> list[dict[str, str]]:
    """Read public keys from a PEM, a JWK or a JWK Set. Raises InvalidInput, also for a private key.

    Each is an RSA key of at least 2048 bits, or an EC key on P-256.
    """
    try:
        if text.lstrip().startswith("{"):
            members = json.loads(text)
            return [_of_jwk(each) for each in members.get("keys", [members]) if each.get("use", "sig") == "sig"]
        if "PRIVATE KEY" in text:
            raise InvalidInput(PRIVATE)
        return [_public_members(load_pem_public_key(text.encode()))]
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput("The file has no public key in PEM, and no JWK or JWK Set.") from error


def _of_jwk(members: dict[str, Any]) -> dict[str, str]:
    if "d" in members:
        raise InvalidInput(PRIVATE)
    if members["kty"] == "EC":
        key: object = ECKey.import_key(members).public_key
    else:
        key = RSAPublicNumbers(_number(members["e"]), _number(members["n"])).public_key()
    kid = {"kid": str(members["kid"])} if "kid" in members else {}
    return _public_members(key) | kid


def _public_members(key: object) -> dict[str, str]:
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        found = ECKey.import_key(key).as_dict(private=False)
    elif isinstance(key, RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        found = RSAKey.import_key(key).as_dict(private=False)
    else:
        raise InvalidInput(f"A key is RSA with at least {LEAST_RSA_BITS} bits, or EC on the curve P-256.")
    return {name: str(value) for name, value in found.items()}


def _number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(f"{text}=="))
