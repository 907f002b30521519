"""The description of the API is complete, fit for generators, and the same as docs/openapi.json."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from likeness.access.scopes import Scope
from servers import Server

PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"
OPERATIONS = {
    "getToken": None,
    "initSession": {Scope.FACE_FLOW},
    "faceMatch": {Scope.FACE_MATCH},
    "facePortrait": {Scope.FACE_MATCH},
    "faceSearch": {Scope.FACE_SEARCH, Scope.FACE_INSERT},
    "faceSearchInsert": {Scope.FACE_INSERT},
    "deleteEntryImage": {Scope.FACE_DELETE},
    "eraseEntry": {Scope.FACE_DELETE},
    "getEntry": {Scope.FACE_SEARCH},
    "listEntries": {Scope.FACE_SEARCH},
    "getResult": {Scope.INFO_SDK, Scope.FACE_FLOW},
    "getResultByHeader": {Scope.INFO_SDK, Scope.FACE_FLOW},
    "purgeResult": {Scope.INFO_SDK},
    "getAuditImage": {Scope.INFO_SDK},
    "getPublicKeys": None,
    "getSettings": {Scope.ADMIN},
    "putSettings": {Scope.ADMIN},
    "listClients": {Scope.ADMIN},
    "createClient": {Scope.ADMIN},
    "getClient": {Scope.ADMIN},
    "changeClient": {Scope.ADMIN},
    "disableClient": {Scope.ADMIN},
    "rotateSecret": {Scope.ADMIN},
    "endSecret": {Scope.ADMIN},
    "getWebhook": {Scope.ADMIN},
    "putWebhook": {Scope.ADMIN},
    "removeWebhook": {Scope.ADMIN},
    "testWebhook": {Scope.ADMIN},
    "listDeliveries": {Scope.ADMIN},
    "replayDelivery": {Scope.ADMIN},
    "getUsage": {Scope.ADMIN},
    "listAuditRecords": {Scope.ADMIN},
    "listSessions": {Scope.ADMIN},
    "putLegalHold": {Scope.ADMIN},
    "endLegalHold": {Scope.ADMIN},
    "getHealth": None,
    "getReadiness": None,
}
"""Generated clients use these names, so they must not change."""


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    return json.loads(json.dumps(server.app.openapi()))


def calls(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in description["paths"].values():
        yield from methods.values()


def walk(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from walk(each)


def test_it_is_the_published_one(description: dict[str, Any], server: Server) -> None:
    """After an intended change, run LIKENESS_PUBLISH=1 pytest tests/test_openapi.py."""
    public = description | {"servers": [{"url": "https://face.example.com"}]}
    text = json.dumps(public, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("LIKENESS_PUBLISH"):
        PUBLISHED.write_text(text)
    assert description["servers"] == [{"url": server.url}]
    assert text == PUBLISHED.read_text()


def test_every_call_has_a_stable_id_and_says_which_token_it_needs(description: dict[str, Any]) -> None:
    found = {}
    for call in calls(description):
        alternatives = [tuple(scheme.items()) for scheme in call["security"]]
        scopes = {scope for ((scheme, needed),) in alternatives if scheme == "oauth2" for scope in needed}
        assert bool(scopes) == ((("bearer", []),) in alternatives)
        found[call["operationId"]] = scopes or None
    assert found == OPERATIONS
    flow = description["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] in description["paths"]
    assert flow["scopes"].keys() == set(Scope)


def test_nothing_in_it_is_made_up_by_the_framework(description: dict[str, Any]) -> None:
    assert not [part["title"] for part in walk(description["paths"]) if isinstance(part.get("title"), str)]
    assert not [part["title"] for part in walk(description["components"]) if isinstance(part.get("title"), str)]
    assert not {"422", "default"} & {status for call in calls(description) for status in call["responses"]}
    assert not [name for name in description["components"]["schemas"] if re.search(r"Validation|[_-]|Body_", name)]


def test_every_reference_leads_somewhere_and_every_schema_is_used(description: dict[str, Any]) -> None:
    references = {part["$ref"] for part in walk(description) if "$ref" in part}
    places = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "headers", "parameters")
        for name in description["components"][kind]
    }
    assert references == places


def test_every_answer_names_its_headers_and_its_body(description: dict[str, Any]) -> None:
    for call in calls(description):
        assert "500" in call["responses"]
        for status, response in call["responses"].items():
            wanted = {
                "401": {"WWW-Authenticate"},
                "429": {"Retry-After", "RateLimit-Policy", "RateLimit"},
                "503": {"Retry-After"},
            }.get(status, set())
            assert response["headers"].keys() == {"X-Request-Id"} | wanted, (call["operationId"], status)
            assert status == "204" or all(content["schema"] for content in response["content"].values())


def test_bodies_are_named_once_for_json_and_once_for_a_form(description: dict[str, Any]) -> None:
    for call in calls(description):
        for kind, content in call.get("requestBody", {}).get("content", {}).items():
            name = content["schema"]["$ref"].rpartition("/")[2]
            schema = description["components"]["schemas"][name]
            assert name.endswith("Form") == (kind == "multipart/form-data")
            if kind == "multipart/form-data":
                assert not [part for part in walk(schema) if part == {"type": "null"} or part.get("format") == "byte"]


def test_no_part_of_an_address_or_a_header_is_null(description: dict[str, Any]) -> None:
    parameters = [each for call in calls(description) for each in call["parameters"] if "$ref" not in each]
    assert len(parameters) > 8
    assert not [parameter for parameter in parameters if {"type": "null"} in list(walk(parameter))]
    ids = [each for each in parameters if each["name"] in {"entry_id", "session_id", "UQ-Session-ID"}]
    assert {each["schema"]["format"] for each in ids} == {"uuid"}


def test_every_example_is_valid(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    examples = 0
    for name, schema in schemas.items():
        validator = jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": description["components"]}, validate_formats=True
        )
        for example in [schema["example"]] if "example" in schema else []:
            validator.validate(example)
            examples += 1
    assert examples >= 9
    for content in (
        content for call in calls(description) for content in call.get("requestBody", {}).get("content", {}).values()
    ):
        if "example" in content:
            name = content["schema"]["$ref"].rpartition("/")[2]
            jsonschema_rs.validate(schemas[name], content["example"])


def test_the_example_of_a_refusal_is_of_its_status(description: dict[str, Any]) -> None:
    codes = {"401": "UNAUTHORIZED", "404": "NOT_FOUND", "429": "TOO_MANY_REQUESTS", "503": "SERVICE_UNAVAILABLE"}
    shown = description["paths"]["/api/v1/info/{session_id}"]["get"]["responses"]
    for status, code in codes.items():
        example = shown[status]["content"]["application/json"]["example"]
        assert example["error"] == code
        jsonschema_rs.validate({"type": "string", "minLength": 4}, example["message"])


def test_the_webhook_is_described(description: dict[str, Any]) -> None:
    call = description["webhooks"]["sessionEnded"]["post"]
    body = call["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert description["components"]["schemas"][body]["required"] == ["jwsResult"]
    assert {parameter["name"] for parameter in call["parameters"]} == {"Likeness-Delivery", "Likeness-Signature"}
