"""What a verifier of attestations is, and the statement about one in a result."""

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger("likeness.attestation")

LONGEST_SECONDS = 5.0
"""The longest time that a verifier may take for a token."""
MOST_FACTS = 16
LONGEST_FACT = 256


class AttestationRefused(Exception):
    """A token that proves nothing. The message is the reason in plain words, without parts of the token."""


class AttestationVerifier(Protocol):
    """Verifies the tokens of one platform. It runs in a thread of its own, and several may run at once."""

    @property
    def name(self) -> str:
        """The name that the configuration and the result use."""
        ...

    def verify(self, token: str, *, nonce: str, now: float) -> Mapping[str, str]:
        """Return facts about app and device for the result: at most 16, of at most 256 characters each.

        The platform must have signed ``nonce``, which names the session and the key of its frames. ``now`` is Unix
        time in seconds. Raises AttestationRefused.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attestation:
    """The statement about one connection's attestation."""

    verifier: str
    passed: bool
    reason: str
    facts: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"verifier": self.verifier, "passed": self.passed, "reason": self.reason, "facts": dict(self.facts)}


def expected_nonce(session_id: str, key: str) -> str:
    """Return what an app asks its platform to sign: SHA-256 of ``SESSION.KEY`` in base64url without padding.

    ``key`` is the public key in the hello, which signs the frames of this connection. So a token vouches for these
    frames only.
    """
    digest = hashlib.sha256(f"{session_id}.{key}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def attest(
    verifier: AttestationVerifier, token: str | None, *, session_id: str, key: str | None, now: float
) -> Attestation:
    """Return the statement about the token of a hello, also about a missing one. A verifier's own fault refuses it."""
    if token is None:
        return Attestation(verifier.name, passed=False, reason="the app handed over no attestation", facts={})
    if key is None:
        return Attestation(verifier.name, passed=False, reason="no key signs the frames", facts={})
    nonce, began = expected_nonce(session_id, key), time.monotonic()
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            facts = await asyncio.to_thread(verifier.verify, token, nonce=nonce, now=now)
    except AttestationRefused as refusal:
        return Attestation(verifier.name, passed=False, reason=str(refusal), facts={})
    except TimeoutError:
        log.warning("the verifier %s took more than %.0f s", verifier.name, time.monotonic() - began)
        return Attestation(verifier.name, passed=False, reason="the verifier took too long", facts={})
    except Exception:
        log.exception("the verifier %s failed", verifier.name)
        return Attestation(verifier.name, passed=False, reason="the verifier failed", facts={})
    bounded = {name[:LONGEST_FACT]: str(fact)[:LONGEST_FACT] for name, fact in list(facts.items())[:MOST_FACTS]}
    return Attestation(verifier.name, passed=True, reason="the attestation is genuine", facts=bounded)
