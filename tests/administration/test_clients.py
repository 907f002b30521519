"""A tenant's administrators make, change and disable clients, at once, and only their own."""

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from api.test_access import demanded, every_route
from likeness.access.requires import Requires
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from servers import Api, Server, calling

CLIENTS = "/api/v1/admin/clients"
ALICE = fake_photo(1)


def create(api: Api, **fields: Any) -> dict[str, str]:
    reply = api.call("POST", CLIENTS, {"name": "shop", "scopes": [Scope.FACE_MATCH], **fields})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def token(api: Api, made: dict[str, str], *scopes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": made["clientId"],
        "client_secret": made["clientSecret"],
        **({"scope": " ".join(scopes)} if scopes else {}),
    }
    return api.http.post("/api/oauth/token", data=form)


def match(api: Api, bearer: str) -> httpx.Response:
    files = dict.fromkeys(("sourceImage", "targetImage"), ("photo.jpg", ALICE))
    return api.http.post("/api/v1/face/match", files=files, headers={"Authorization": f"Bearer {bearer}"})


def test_a_new_client_works_at_once_and_loses_a_permission_at_once(api: Api) -> None:
    made = create(api, scopes=[Scope.FACE_MATCH, Scope.FACE_SEARCH])
    bearer = token(api, made).json()["access_token"]
    assert match(api, bearer).status_code == 200
    address = f"{CLIENTS}/{made['clientId']}"
    changed = api.call("PUT", address, {"scopes": [Scope.FACE_SEARCH]}).json()
    assert changed["scopes"] == [Scope.FACE_SEARCH]
    assert match(api, bearer).json()["error"] == "FORBIDDEN"
    api.call("PUT", address, {"scopes": [Scope.FACE_MATCH], "scores": "level"})
    assert "score" not in match(api, bearer).json()
    assert api.call("DELETE", address).status_code == 204
    assert match(api, bearer).status_code == token(api, made).status_code == 401
    assert api.call("DELETE", address).status_code == 404
    shown = {each["clientId"]: each for each in api.call("GET", CLIENTS).json()["clients"]}
    assert shown[made["clientId"]]["disabled"] is True
    assert shown[api.client_id]["disabled"] is False


def test_the_operators_settings_of_a_client_stay(api: Api) -> None:
    made = create(api, networks=["10.1.0.0/16"])
    assert token(api, made).status_code == 401
    key = {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}
    settings = ClientSettings.model_validate({"keys": [key], "networks": ["10.1.0.0/16"]})
    api.server.deployment.clients.change_settings(made["clientId"], settings)
    address = f"{CLIENTS}/{made['clientId']}"
    assert api.call("GET", address).json()["networks"] == ["10.1.0.0/16"]
    changed = api.call("PUT", address, {"scopes": [Scope.FACE_MATCH]}).json()
    assert (changed["networks"], changed["hasKeys"]) == (None, True)
    assert token(api, made).status_code == 200


def test_secrets_are_replaced_and_ended(api: Api) -> None:
    made = create(api, secretDays=1)
    address = f"{CLIENTS}/{made['clientId']}"
    new = api.call("POST", f"{address}/secrets", {"overlapHours": 1}).json()
    assert new["clientId"] == made["clientId"]
    assert token(api, made).status_code == token(api, new).status_code == 200
    first, second = api.call("GET", address).json()["secrets"]
    assert first["expiresAt"] is not None
    assert second["expiresAt"] is None
    assert api.call("DELETE", f"{address}/secrets/{first['secretId']}").status_code == 204
    assert (token(api, made).status_code, token(api, new).status_code) == (401, 200)
    assert api.call("DELETE", f"{address}/secrets/{first['secretId']}").status_code == 404
    last = api.call("POST", f"{address}/secrets", {}).json()
    assert (token(api, new).status_code, token(api, last).status_code) == (401, 200)
    for _ in range(4):
        api.call("POST", f"{address}/secrets", {"overlapHours": 1})
    assert api.call("POST", f"{address}/secrets", {"overlapHours": 1}).json()["error"] == "CONFLICT"


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["KYC_EVERYTHING"]},
        {"scopes": None},
        {"name": "\u202e"},
        {"name": ""},
        {"networks": ["10.1.0.0/33"]},
        {"networks": "10.1.0.0/16"},
        {"secretDays": 0},
        {"scores": "none"},
    ],
)
def test_what_no_client_can_be_is_refused(api: Api, fields: dict[str, Any]) -> None:
    reply = api.call("POST", CLIENTS, {"name": "shop", "scopes": [Scope.FACE_MATCH]} | fields)
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT"), reply.text


def test_a_body_is_small_and_json(api: Api) -> None:
    long = api.call("POST", CLIENTS, {"name": "x" * 33_000, "scopes": [Scope.FACE_MATCH]})
    assert long.json()["error"] == "PAYLOAD_TOO_LARGE"
    assert api.call("POST", CLIENTS, data={"name": "x"}).json()["error"] == "UNSUPPORTED_MEDIA_TYPE"
    broken = api.call("POST", CLIENTS, content=b"{", headers={"Content-Type": "application/json"})
    assert broken.json()["error"] == "BAD_REQUEST"


def admin_routes(server: Server) -> list[APIRoute]:
    routes = [route for route in every_route(server.app.routes) if isinstance(route, APIRoute)]
    return [route for route in routes if route.path.startswith("/api/v1/admin/")]


def test_every_call_needs_the_permission_admin(server: Server) -> None:
    assert len(admin_routes(server)) >= 18
    for route in admin_routes(server):
        assert demanded(route)
        (needed,) = [each.call for each in route.dependant.dependencies if isinstance(each.call, Requires)]
        assert needed.any_of == (Scope.ADMIN,)
    with calling(server, scopes=frozenset(Scope) - {Scope.ADMIN}) as api:
        for route in admin_routes(server):
            for method in route.methods:
                reply = api.call(method, re.sub(r"\{\w+\}", "x", route.path), {} if method in {"POST", "PUT"} else None)
                assert (reply.status_code, reply.json()["error"]) == (403, "FORBIDDEN"), route.path


def test_a_tenant_reaches_nothing_of_another(server: Server) -> None:
    with calling(server) as mine, calling(server) as other:
        secret_id = other.call("GET", f"{CLIENTS}/{other.client_id}").json()["secrets"][0]["secretId"]
        ids = {"client_id": other.client_id, "secret_id": secret_id, "delivery_id": other.client_id}
        ids["entry_id"] = other.insert(ALICE).json()["oneToNVerificationId"]
        bodies = {
            "putSettings": {},
            "createClient": {"name": "x", "scopes": [Scope.ADMIN]},
            "changeClient": {"scopes": [Scope.ADMIN]},
            "rotateSecret": {},
            "putWebhook": {"url": "https://mine.example.com"},
            "putLegalHold": {"reference": "case-17"},
        }
        before = other.call("GET", CLIENTS).json()
        for route in admin_routes(server):
            for method in route.methods:
                path = re.sub(r"\{(\w+)\}", lambda named: ids[named[1]], route.path)
                reply = mine.call(method, path, bodies.get(str(route.operation_id)))
                assert other.client_id not in reply.text
                assert other.tenant.id not in reply.text
                assert (reply.status_code == 404) or "{" not in route.path, (route.path, reply.text)
        assert other.call("GET", CLIENTS).json() == before
        assert other.call("GET", "/api/v1/admin/webhook").status_code == 404
        assert other.match(ALICE, ALICE).status_code == 200
