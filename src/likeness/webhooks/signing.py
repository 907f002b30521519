"""The signature of a delivery's claims at each try."""

from typing import Any

from likeness.kit.jose import Signer

RESULT_TYPE = "JWT"
"""The kind of token in a result's header.

Common libraries of relying parties, such as Nimbus, refuse any other name unless they are set up for it.
"""
FRESH_SECONDS = 60


def sign_claims(signer: Signer, claims: dict[str, Any], *, now: float) -> str:
    """Sign a result's claims. Claims that have expired, or almost, get a new ``exp``.

    A receiver that checks ``exp`` would refuse them otherwise. The new ``exp`` gives the full life again. ``iat``,
    ``jti`` and the data stay those of the session's end.
    """
    if claims["exp"] - now < FRESH_SECONDS:
        life = claims["exp"] - claims["iat"]
        claims = {**claims, "exp": int(now) + life}
    return signer.sign(claims, typ=RESULT_TYPE)
