import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from likeness.sessions.attestation import base
from likeness.sessions.attestation.base import (
    LONGEST_FACT,
    MOST_FACTS,
    Attestation,
    AttestationRefused,
    attest,
    expected_nonce,
)


@dataclass
class Scripted:
    """A verifier whose answer the test gives."""

    answer: Callable[[str, str], Mapping[str, str]]
    name: str = "scripted"

    def verify(self, token: str, *, nonce: str, now: float) -> Mapping[str, str]:
        assert now == 5.0
        return self.answer(token, nonce)


def stated(answer: Callable[[str, str], Mapping[str, str]], **hello: str | None) -> Attestation:
    """Give the statement about a hello, which has a token and a key by default."""
    token, key = ({"token": "t", "key": "k"} | hello).values()
    return asyncio.run(attest(Scripted(answer), token, session_id="s", key=key, now=5.0))


def refuse(token: str, nonce: str) -> Mapping[str, str]:
    raise AttestationRefused(f"{token} is old")


def test_the_nonce_names_the_session_and_the_key() -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"s.k").digest()).decode().rstrip("=")
    assert expected_nonce("s", "k") == digest
    assert stated(lambda token, nonce: {"token": token, "nonce": nonce}) == Attestation(
        "scripted", True, "the attestation is genuine", {"token": "t", "nonce": digest}
    )


def test_a_refusal_has_its_reason() -> None:
    assert stated(refuse).as_json() == {"verifier": "scripted", "passed": False, "reason": "t is old", "facts": {}}


@pytest.mark.parametrize(("token", "key"), [(None, "k"), ("t", None), (None, None)])
def test_without_token_or_key_nothing_is_verified(token: str | None, key: str | None) -> None:
    def fail(token: str, nonce: str) -> Mapping[str, str]:
        raise AssertionError

    found = stated(fail, token=token, key=key)
    assert not found.passed
    assert found.reason in {"the app handed over no attestation", "no key signs the frames"}


def test_a_verifiers_own_fault_is_no_proof() -> None:
    def fail(token: str, nonce: str) -> Mapping[str, str]:
        raise KeyError(token)

    assert stated(fail) == Attestation("scripted", False, "the verifier failed", {})


def test_a_slow_verifier_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LONGEST_SECONDS", 0.01)

    def wait(token: str, nonce: str) -> Mapping[str, str]:
        time.sleep(0.2)
        return {}

    assert stated(wait).reason == "the verifier took too long"


def test_facts_are_bounded() -> None:
    facts = stated(lambda *_: {f"{number}": "x" * 9999 for number in range(99)}).facts
    assert len(facts) == MOST_FACTS
    assert {len(fact) for fact in facts.values()} == {LONGEST_FACT}
