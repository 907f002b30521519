"""Each member of the claims."""

from typing import Any

from likeness.results.claims import AuditReference, Ending, OneToN, write_claims


def written(audit: AuditReference | None = None, **fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"session_id": "s", "client_id": "c", "ended_at": 1000.9, "model": "fake@1", **fields}
    return write_claims(Ending(**given), audit, issuer="https://face.example", jti="j", ttl_seconds=600)


def test_a_success_with_everything() -> None:
    claims = written(
        AuditReference("a" * 24, "b" * 64),
        nonce="n",
        consent_reference="consent-7",
        purpose="opening an account",
        match=True,
        match_level=4,
        false_match_rate=1e-5,
        liveness={"passed": True},
        one_to_n=OneToN("entry", found=True),
    )
    assert claims == {
        "iss": "https://face.example",
        "aud": "c",
        "iat": 1000,
        "exp": 1600,
        "jti": "j",
        "data": {
            "sessionId": "s",
            "nonce": "n",
            "consentReference": "consent-7",
            "purpose": "opening an account",
            "face": {
                "auditTrailImageId": "a" * 24,
                "auditTrailImageIdChecksum": "sha256:" + "b" * 64,
                "matchLevel": 4,
                "match": True,
                "oneToNVerificationId": "entry",
                "oneToNVerificationMatch": True,
                "liveness": {"passed": True},
                "falseMatchRate": 1e-5,
                "model": "fake@1",
                "failedAttempts": [],
                "error": None,
            },
        },
    }


def test_what_the_caller_gave_and_one_to_n_are_there_only_when_set() -> None:
    data = written()["data"]
    assert data.keys() == {"sessionId", "face"}
    assert not [name for name in data["face"] if name.startswith("oneToN")]


def test_an_ending_without_a_picture_says_so() -> None:
    face = written(error="USER_CANCEL", failures=("FACE_NO_MATCH",))["data"]["face"]
    assert (face["auditTrailImageId"], face["auditTrailImageIdChecksum"]) == (None, None)
    assert (face["match"], face["matchLevel"], face["falseMatchRate"]) == (False, 0, 1.0)
    assert (face["error"], face["failedAttempts"]) == ("USER_CANCEL", ["FACE_NO_MATCH"])
