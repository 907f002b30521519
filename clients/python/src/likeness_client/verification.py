"""The check of a session's signed result, as strict as the contract allows."""

import time
from typing import Any

from joserfc import jws as compact
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from likeness_client.errors import NotVerified
from likeness_client.replies import Result

CLOCKS_SECONDS = 60
"""By how much the clocks of the server and of this machine may differ."""


def kid_of(jws: str) -> str:
    """Give the id of the key that a result names, unverified. Raises NotVerified."""
    try:
        kid = compact.extract_compact(jws.encode()).headers().get("kid")
    except (JoseError, ValueError) as error:
        raise NotVerified("this is no JWS in compact form") from error
    if not isinstance(kid, str):
        raise NotVerified("the result names no key")
    return kid


def verify(jws: str, keys: KeySet, *, issuer: str, audience: str, session_id: str, nonce: str | None) -> Result:
    """Give the result of a session. Raises NotVerified."""
    now = int(time.time())
    registry = jwt.JWTClaimsRegistry(
        now=now,
        leeway=CLOCKS_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        claims = jwt.decode(jws, keys, algorithms=["RS256"]).claims
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise NotVerified(f"the result is not valid: {error}") from error
    data = claims.get("data")
    if not isinstance(data, dict) or data.get("sessionId") != session_id or data.get("nonce") != nonce:
        raise NotVerified("it is the result of another session")
    return _result(data, claims)


def _result(data: dict[str, Any], claims: dict[str, Any]) -> Result:
    face = data.get("face")
    level = face.get("matchLevel") if isinstance(face, dict) else None
    if not isinstance(face, dict) or not isinstance(face.get("match"), bool) or type(level) is not int:
        raise NotVerified("the result says nothing of the face")
    return Result(
        data["sessionId"],
        claims["jti"],
        face["match"],
        level,
        face.get("error"),
        face.get("oneToNVerificationId"),
        face.get("oneToNVerificationMatch"),
        face.get("auditTrailImageId"),
        face.get("auditTrailImageIdChecksum"),
        claims,
    )
