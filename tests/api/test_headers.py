"""What every answer tells a browser: to run nothing of other sites, to guess no type, and to keep nothing."""

import httpx
import pytest

from api.test_paths_and_methods import ID, calls
from likeness.web.request_context import ONLY_TLS, SEALED_OFF, headers_at
from servers import Server

STATIC = ["/static/capture/page.html", "/static/face-session/index.js"]
PAGES = ["/", "/docs", "/console/sign-in", f"/capture/{ID}", *STATIC]
OTHERS = ["/openapi.json", "/static/nothing.js", "/nothing", "/console"]


def test_every_answer_is_sealed_off(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        asked = [(method, path) for path, methods in calls(server).items() for method in methods]
        replies = [http.request(method, path) for method, path in asked]
        replies += [http.get(path) for path in [*PAGES, *OTHERS]]
    assert {reply.status_code for reply in replies} >= {200, 303, 401, 404}
    for reply in replies:
        assert {name.lower() for name in SEALED_OFF} <= set(reply.headers), reply.url
        assert len(reply.headers.get_list("content-security-policy")) == 1
        policy = reply.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy), reply.url
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in reply.headers  # this server speaks http, on localhost


def test_what_is_kept_is_public(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        kept = {path for path in [*PAGES, *OTHERS, *calls(server)] if "no-store" not in cached(http, path)}
    assert kept == {"/", "/docs", *STATIC, "/api/.well-known/jwks.json"}


def cached(http: httpx.Client, path: str) -> str:
    return str(http.get(path).headers["cache-control"])


def test_an_answer_with_a_text_names_its_characters(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        kinds = {path: http.get(path).headers.get("content-type", "") for path in [*PAGES, *OTHERS]}
    assert kinds["/"] == "text/html; charset=utf-8"
    assert kinds["/nothing"] == "application/json"
    assert all("charset=utf-8" in kind for kind in kinds.values() if kind.startswith("text/"))


def test_other_origins_may_load_static_files_alone(server: Server) -> None:
    from_elsewhere = {"Origin": "https://elsewhere.example"}
    with httpx.Client(base_url=server.url, headers=from_elsewhere) as http:
        open_paths = {
            path
            for path in [*PAGES, *OTHERS, *calls(server)]
            if "access-control-allow-origin" in http.get(path).headers
        }
    assert open_paths == {*STATIC}


@pytest.mark.parametrize("path", ["/static", "/static/", "/static/capture/", "/static/face-session"])
def test_no_folder_is_listed(server: Server, path: str) -> None:
    reply = httpx.get(f"{server.url}{path}")
    assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")


def test_a_request_cannot_be_sent_back(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        for path in [*PAGES, "/api/v1/face/match"]:
            reply = http.request("TRACE", path, headers={"X-Secret": "secret"})
            assert reply.status_code in {404, 405}, path
            assert "secret" not in reply.text


@pytest.mark.parametrize(
    ("origin", "promised"),
    [
        ("https://face.example", True),
        ("https://face.example:8443", True),
        ("http://face.example", False),
        ("https://localhost:8000", False),
    ],
)
def test_https_is_promised_where_it_is_spoken(origin: str, promised: bool) -> None:
    headers = headers_at(origin)
    assert (headers.items() >= ONLY_TLS.items()) is promised
    assert headers.items() >= SEALED_OFF.items()
