"""Ends a session directly, as the capture does, without a camera."""

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any

import jwt

from likeness.engine.fake import FakeEngine, fake_photo
from likeness.results.claims import AuditFrame, OneToN
from likeness.sessions.service import Conclusion, SessionService
from likeness.sessions.states import EndError, SessionState
from servers import Api, Server

ALICE = fake_photo(1)


def sessions(server: Server) -> SessionService:
    service = server.components.sessions
    assert isinstance(service, SessionService)
    return service


def audit_frame(person: int = 1) -> AuditFrame:
    engine = FakeEngine()
    image = engine.decode(fake_photo(person, variation=1))
    return AuditFrame(image, engine.detect(image)[0])


def success(**fields: Any) -> Conclusion:
    found = {
        "match_level": 5,
        "false_match_rate": 1e-6,
        "liveness": {"passed": True, "signals": []},
        "audit": audit_frame(),
        **fields,
    }
    return Conclusion(SessionState.SUCCEEDED, **found)


def failure(**fields: Any) -> Conclusion:
    return Conclusion(SessionState.FAILED, EndError.TOO_MANY_ATTEMPTS, audit=audit_frame(), **fields)


def end(server: Server, session_id: str, conclusion: Conclusion) -> str | None:
    return asyncio.run(sessions(server).end(session_id, conclusion))


def opened(api: Api, **fields: Any) -> str:
    reply = api.open_session(ALICE, **fields)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["sessionId"])


def verified(api: Api, jws: str) -> dict[str, Any]:
    """Verify a result with the published keys, and give its claims. Times are not checked: the clocks differ."""
    keys = {key["kid"]: jwt.PyJWK(key) for key in api.http.get("/api/.well-known/jwks.json").json()["keys"]}
    header = jwt.get_unverified_header(jws)
    return dict(
        jwt.decode(
            jws,
            keys[header["kid"]].key,
            algorithms=["RS256"],
            issuer=api.server.url,
            audience=api.client_id,
            options={"verify_exp": False, "verify_iat": False},
        )
    )


def header_of(jws: str) -> dict[str, Any]:
    part = jws.split(".", maxsplit=1)[0]
    return dict(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))))


__all__ = ["ALICE", "OneToN", "end", "failure", "header_of", "opened", "sessions", "success", "verified"]
