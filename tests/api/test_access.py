"""No call is public by mistake, and the API's description has every call."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from likeness.access.clients import FRESH_SECONDS
from likeness.access.requires import Requires
from likeness.access.schemas import ClientSettings, Scores
from likeness.access.scopes import Scope
from likeness.console.requires import RequiresRole
from likeness.engine.fake import fake_photo
from servers import Api, Server, calling, serving, test_settings

PUBLIC = {
    "/api/oauth/token": "it is where credentials are exchanged for a token",
    "/api/.well-known/jwks.json": "verifiers of results need the public keys, and only those are there",
    "/healthz": "a supervisor asks it; it says nothing but that the process is up",
    "/readyz": "a load balancer asks it; it says how much of the gallery is loaded",
    "/capture/{session_id}": "the capture page, which says nothing of the session",
    "/api/v1/capture/{session_id}": "the capture socket: its first message must bring the session's capture token",
    "/static": "the capture page's and the component's files, the same for everybody",
    "/": "the way in, without data",
    "/console/sign-in": "it is where a person gets a visit for a password and a code",
    "/console/language": "it keeps the language of the pages in a cookie",
    "/docs": "the description of the API, without data",
    "/openapi.json": "the description of the API, without data",
}


def every_route(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Give all routes, also those of included routers."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is None:
            yield route
        else:
            yield from every_route(router.routes)


def demanded(route: BaseRoute) -> bool:
    if not isinstance(route, APIRoute):
        return False
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, Requires):
            assert dependant.call.any_of
            return True
        if isinstance(dependant.call, RequiresRole):
            return True
        waiting.extend(dependant.dependencies)
    return False


def test_every_route_demands_a_scope_or_is_public_for_a_reason(server: Server) -> None:
    open_routes = {getattr(route, "path", "?") for route in every_route(server.app.routes) if not demanded(route)}
    assert open_routes - PUBLIC.keys() == set()


def test_every_guarded_route_refuses_a_caller_without_a_token(server: Server) -> None:
    guarded = [route for route in every_route(server.app.routes) if isinstance(route, APIRoute) and demanded(route)]
    assert len(guarded) >= 8
    for route in guarded:
        if route.path.startswith("/console"):
            continue  # tests/console/test_pages.py
        for method in route.methods:
            path = re.sub(r"\{\w+\}", "x", route.path)
            reply = httpx.request(method, f"{server.url}{path}")
            assert (reply.status_code, reply.json()["error"]) == (401, "UNAUTHORIZED"), route.path


def test_the_description_names_every_call_with_its_refusals(api: Api) -> None:
    description = api.http.get("/openapi.json").json()
    for path in ("/api/v1/face", "/api/v1/face/match", "/api/v1/face/one-to-n/search", "/api/v1/face/one-to-n/insert"):
        call = description["paths"][path]["post"]
        assert {"400", "401", "403", "413", "415", "429", "503"} <= call["responses"].keys()
        assert call["requestBody"]["content"].keys() == {"application/json", "multipart/form-data"}
    assert api.http.get("/docs").status_code == 200


def test_a_token_outlives_its_tenant_and_opens_nothing(server: Server) -> None:
    with calling(server) as api:
        server.deployment.tenants.erase(api.tenant.id)
        replies = [api.match(fake_photo(1), fake_photo(1)), api.call("GET", "/api/v1/face/one-to-n")]
        assert [reply.status_code for reply in replies] == [401, 401]


def test_a_client_may_get_levels_without_scores(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        photo = fake_photo(1)
        entry = api.insert(photo).json()["oneToNVerificationId"]
        full = api.match(photo, photo).json(), api.search(photo, candidates=1).json()
        assert (full[0]["score"], full[1]["score"], full[1]["candidates"][0]["score"]) == (1, 1, 1)
        server.deployment.clients.change_settings(api.client_id, ClientSettings(scores=Scores.LEVEL))
        server.clock.move(FRESH_SECONDS)
        matched, searched = api.match(photo, photo).json(), api.search(photo, candidates=1).json()
        assert full[0].keys() - matched.keys() == full[1].keys() - searched.keys() == {"score"}
        assert (matched["matchLevel"], searched["matchLevel"], matched["falseMatchRate"]) == (5, 5, 1e-6)
        assert searched["candidates"] == [{"oneToNVerificationId": entry, "externalId": None, "matchLevel": 5}]
        assert matched["source"]["quality"]["score"] == full[0]["source"]["quality"]["score"]
        assert api.search(photo).json()["candidates"] is None


def test_no_other_call_answers_with_a_score(server: Server) -> None:
    scored = {
        route.path
        for route in every_route(server.app.routes)
        if isinstance(route, APIRoute) and "score" in getattr(route.response_model, "model_fields", {})
    }
    assert scored == {"/api/v1/face/match", "/api/v1/face/one-to-n/search"}


@pytest.mark.parametrize(
    ("scopes", "one_to_n", "status"),
    [
        ({Scope.FACE_FLOW}, "none", 201),
        ({Scope.FACE_FLOW}, "search", 403),
        ({Scope.FACE_FLOW, Scope.FACE_SEARCH}, "search", 201),
        ({Scope.FACE_FLOW, Scope.FACE_SEARCH}, "insert", 403),
        ({Scope.FACE_FLOW, Scope.FACE_INSERT}, "insert", 201),
    ],
)
def test_a_session_does_with_the_gallery_only_what_its_client_may(
    server: Server, scopes: set[Scope], one_to_n: str, status: int
) -> None:
    with calling(server, scopes=frozenset(scopes)) as api:
        assert api.open_session(fake_photo(1), oneToN=one_to_n).status_code == status
