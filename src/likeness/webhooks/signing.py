"""Signing a delivery's claims when it goes out."""

from typing import Any

from likeness.kit.jose import Signer

FRESH_SECONDS = 60


def sign_claims(signer: Signer, claims: dict[str, Any], *, now: float) -> str:
    """Sign a result's claims, unchanged while they are fresh.

    A try that comes when the result has lapsed, or nearly, would be refused by any receiver that looks at ``exp``: it
    gets its full life anew from now on. ``iat``, ``jti`` and the data stay those of the session's end.
    """
    if claims["exp"] - now < FRESH_SECONDS:
        life = claims["exp"] - claims["iat"]
        claims = {**claims, "exp": int(now) + life}
    return signer.sign(claims)
