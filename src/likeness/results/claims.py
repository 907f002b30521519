"""The claims of a session's signed result (contract §6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from likeness.engine.base import Detection, Image


@dataclass(frozen=True, slots=True)
class OneToN:
    """The entry that was found in the gallery, or that was enrolled. ``entry_id`` is None for neither."""

    entry_id: str | None = None
    found: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AuditFrame:
    """The frame that decided the session, and the face in it."""

    image: Image
    detection: Detection


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """How a session ended: all facts for its result. ``ended_at`` is in seconds since the Unix epoch."""

    session_id: str
    client_id: str
    ended_at: float
    model: str
    nonce: str | None = None
    consent_reference: str | None = None
    purpose: str | None = None
    match: bool = False
    match_level: int = 0
    false_match_rate: float = 1.0
    liveness: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    error: str | None = None
    one_to_n: OneToN | None = None
    audit: AuditFrame | None = None


@dataclass(frozen=True, slots=True)
class AuditReference:
    """The audit image's id and the SHA-256 of its bytes, in hexadecimal."""

    image_id: str
    sha256: str


def write_claims(
    ending: Ending, audit: AuditReference | None, *, issuer: str, jti: str, ttl_seconds: int
) -> dict[str, Any]:
    """Give the claims. Without an audit image its members are null."""
    issued_at = int(ending.ended_at)
    face: dict[str, Any] = {
        "auditTrailImageId": audit.image_id if audit else None,
        "auditTrailImageIdChecksum": f"sha256:{audit.sha256}" if audit else None,
        "matchLevel": ending.match_level,
        "match": ending.match,
    }
    if ending.one_to_n:
        face["oneToNVerificationId"] = ending.one_to_n.entry_id
        face["oneToNVerificationMatch"] = ending.one_to_n.found
    face |= {
        "liveness": dict(ending.liveness),
        "falseMatchRate": ending.false_match_rate,
        "model": ending.model,
        "failedAttempts": list(ending.failures),
        "error": ending.error,
    }
    repeated = {"nonce": ending.nonce, "consentReference": ending.consent_reference, "purpose": ending.purpose}
    given = {name: text for name, text in repeated.items() if text is not None}
    return {
        "iss": issuer,
        "aud": ending.client_id,
        "iat": issued_at,
        "exp": issued_at + ttl_seconds,
        "jti": jti,
        "data": {"sessionId": ending.session_id, **given, "face": face},
    }
