"""Receipts of erasures."""

from functools import partial
from pathlib import Path

import jwt
import pytest

from audit.trails import append, opened, tamper
from likeness.audit.actions import Action
from likeness.audit.receipts import write_receipt
from likeness.audit.seals import DAY_SECONDS
from likeness.deployment import Deployment
from likeness.errors import NotFound, SetupError
from likeness.kit.clock import MovableClock


def receipt(deployment: Deployment, object_id: str) -> str:
    written = partial(
        write_receipt, seals=deployment.seals, object_id=object_id, issuer="https://face.example", now=5.0
    )
    return deployment.database.read_now(written)


def test_a_receipt_says_what_was_erased_when_and_by_whom(tmp_path: Path) -> None:
    with opened(tmp_path, MovableClock()) as deployment:
        append(deployment, "a", "b")
        jws, key = receipt(deployment, "b"), deployment.seals.signer.public_jwk
    claims = jwt.decode(jws, jwt.PyJWK(key).key, ["EdDSA"])
    record = claims.pop("record")
    assert jwt.get_unverified_header(jws) == {"alg": "EdDSA", "kid": key["kid"], "typ": "likeness-receipt+jwt"}
    assert (record["number"], len(record["link"])) == (2, 64)
    assert claims == {
        "iss": "https://face.example",
        "iat": 5,
        "sub": "b",
        "tenant_id": "t",
        "action": "erasure",
        "time": 1_700_000_000.0,
        "who": "server",
        "request_id": None,
    }


def test_there_is_no_receipt_for_what_was_not_erased(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        append(deployment, "a", action=Action.ENROLMENT)
        with pytest.raises(NotFound):
            receipt(deployment, "a")


@pytest.mark.parametrize("altered", [False, True])
@pytest.mark.parametrize("first", ["a", "c"], ids=["first of its strand", "first after a trim"])
def test_there_is_no_receipt_for_a_record_that_was_altered(tmp_path: Path, first: str, altered: bool) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, "a", "b")
        deployment.seals.seal()
        clock.move(DAY_SECONDS)
        append(deployment, "c")
        deployment.seals.seal()
        if first == "c":
            deployment.seals.trim(before=clock.now() - 1)
        if altered:
            tamper(tmp_path, "UPDATE audit_records SET who = 'nobody'")
            with pytest.raises(SetupError, match="altered"):
                receipt(deployment, first)
        else:
            assert receipt(deployment, first)


def test_an_invented_record_gives_no_receipt(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        append(deployment, "a")
        tamper(
            tmp_path,
            "INSERT INTO audit_records SELECT 'new', 7, time, who, tenant, action, 'x', outcome, request_id, link FROM audit_records",
        )
        with pytest.raises(SetupError, match="altered"):
            receipt(deployment, "x")
