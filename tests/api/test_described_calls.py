"""Schemathesis makes requests from the published description. It describes every answer, to every kind of caller."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import schemathesis
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

from likeness.engine.fake import fake_photo
from servers import Api, Server, calling

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
PHOTOS = {"idPhoto", "sourceImage", "targetImage"}
SCHEMAS = json.loads(PUBLISHED.read_bytes())["components"]["schemas"]
FORMS = {
    "faceMatch": "MatchRequestForm",
    "faceSearch": "SearchRequestForm",
    "faceSearchInsert": "InsertRequestForm",
    "initSession": "SessionRequestForm",
}
"""The schemas of the calls that take photos."""

described = schemathesis.openapi.from_path(str(PUBLISHED))
described.config.phases.coverage.unexpected_methods = set()  # in test_paths_and_methods.py
bounded = settings(
    max_examples=5,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
HELD_ELSEWHERE = [
    checks.negative_data_rejection,  # the server reads bodies in many forms: test_bodies.py
    checks.positive_data_acceptance,  # below, with photos that show a person
    checks.ignored_auth,  # two of the callers here have no valid token
]


@pytest.fixture(scope="module")
def caller(server: Server) -> Iterator[Api]:
    with calling(server) as api:
        yield api


@pytest.fixture(scope="module")
def strangers(caller: Api) -> list[dict[str, str]]:
    """Give the headers of a caller without a token, and of a caller with another server's token."""
    good = caller.token()
    key = rsa.generate_private_key(65537, 2048)
    claims = jwt.decode(good, options={"verify_signature": False})
    foreign = jwt.encode(claims, key, "RS256", {"kid": jwt.get_unverified_header(good)["kid"]})
    return [{}, {"Authorization": f"Bearer {foreign}"}]


@described.parametrize()
@bounded
def test_every_answer_is_a_described_one(
    case: schemathesis.Case[Any], caller: Api, strangers: list[dict[str, str]]
) -> None:
    guarded = bool(case.operation.definition.raw["security"])
    for headers in [*strangers, caller.headers]:
        reply = case.call_and_validate(base_url=caller.server.url, headers=headers, excluded_checks=HELD_ELSEWHERE)
        assert not guarded or (reply.status_code == 401) == (headers is not caller.headers)


@pytest.mark.parametrize("call", FORMS)
def test_what_the_description_allows_is_accepted(caller: Api, call: str) -> None:
    @bounded
    @given(case=described.find_operation_by_id(call).as_strategy())
    def accepted(case: schemathesis.Case[Any]) -> None:
        # A schema cannot say that a photo shows a person, that an address is measured after percent-encoding, or that
        # a time is in the future.
        photo = fake_photo(1) if case.media_type == "multipart/form-data" else base64.b64encode(fake_photo(1)).decode()
        body: dict[str, Any] = case.body  # type: ignore[assignment]  # each of these calls takes an object
        body.update(dict.fromkeys(PHOTOS & body.keys(), photo))
        for name in ("redirectUrl", "expiresAt"):
            body.pop(name, None)
        if call == "faceMatch":  # nor that one of two members is left out
            body.pop("targetId", None)
            body["targetImage"] = photo
        if case.media_type == "multipart/form-data":
            # nor that no name occurs twice, as one with a list would
            case.body = {name: body[name] for name in SCHEMAS[FORMS[call]]["properties"] if name in body}
        reply = case.call_and_validate(
            base_url=caller.server.url, headers=caller.headers, excluded_checks=HELD_ELSEWHERE
        )
        assert reply.status_code in {200, 201, 409}, reply.text

    accepted()
