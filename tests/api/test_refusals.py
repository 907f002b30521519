"""Each call with each kind of bad request. Every refusal has the same form."""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.errors import ErrorCode
from likeness.settings import Settings
from likeness.tenants.schemas import TenantSettings
from servers import Api, Server, b64, calling, serving, test_settings

PHOTO = fake_photo(1)
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
MATCH = "/api/v1/face/match"
SEARCH = "/api/v1/face/one-to-n/search"
INSERT = "/api/v1/face/one-to-n/insert"
SESSION = "/api/v1/face"
FIELDS = {MATCH: ("sourceImage", "targetImage"), SEARCH: ("idPhoto",), INSERT: ("idPhoto",), SESSION: ("idPhoto",)}
CALLS = pytest.mark.parametrize("path", FIELDS)
LIMIT = 5 * 1024 * 1024


def body(path: str, photo: bytes = PHOTO) -> dict[str, Any]:
    return {field: b64(photo) for field in FIELDS[path]}


def assert_refused(reply: httpx.Response, status: int, error: ErrorCode) -> None:
    assert reply.status_code == status, reply.text
    refusal = reply.json()
    assert set(refusal) - {"reasons"} == {"error", "message", "requestId"}
    assert refusal["error"] == error
    assert refusal["message"].endswith(".")
    assert refusal["requestId"] == reply.headers["x-request-id"]


@CALLS
def test_a_good_request_is_not_refused(api: Api, path: str) -> None:
    assert api.call("POST", path, body(path)).status_code in (200, 201)


@CALLS
def test_no_token(api: Api, path: str) -> None:
    assert_refused(httpx.post(f"{api.server.url}{path}", json=body(path)), 401, ErrorCode.UNAUTHORIZED)


@CALLS
def test_a_token_without_the_permission(api: Api, path: str) -> None:
    headers = api.with_scopes(Scope.INFO_SDK)
    assert_refused(api.call("POST", path, body(path), headers=headers), 403, ErrorCode.FORBIDDEN)


BAD_BODIES: dict[str, tuple[Callable[[str], dict[str, Any]], int, ErrorCode]] = {
    "not JSON": (
        lambda _: {"content": b"{", "headers": {"Content-Type": "application/json"}},
        400,
        ErrorCode.BAD_REQUEST,
    ),
    "too deep": (
        lambda _: {"content": b"[" * 50_000, "headers": {"Content-Type": "application/json"}},
        400,
        ErrorCode.BAD_REQUEST,
    ),
    "a list": (lambda _: {"json": []}, 400, ErrorCode.BAD_REQUEST),
    "no fields": (lambda _: {"json": {}}, 400, ErrorCode.INVALID_INPUT),
    "a number for a photo": (lambda path: {"json": dict.fromkeys(FIELDS[path], 7)}, 400, ErrorCode.INVALID_INPUT),
    "bad base64": (lambda path: {"json": dict.fromkeys(FIELDS[path], "a*b=")}, 400, ErrorCode.INVALID_INPUT),
    "an empty photo": (lambda path: {"json": dict.fromkeys(FIELDS[path], "")}, 400, ErrorCode.INVALID_INPUT),
    "a photo cut short": (lambda path: {"json": body(path, PHOTO[:700])}, 400, ErrorCode.INVALID_IMAGE),
    "nobody on it": (lambda path: {"json": body(path, fake_photo(1, faces=0))}, 400, ErrorCode.NO_FACE),
    "several faces": (lambda path: {"json": body(path, fake_photo(1, faces=3))}, 400, ErrorCode.MULTIPLE_FACES),
    "too dark": (lambda path: {"json": body(path, fake_photo(1, dim=True))}, 400, ErrorCode.LOW_QUALITY),
    "a GIF": (lambda path: {"json": body(path, b"GIF89a" + bytes(64))}, 415, ErrorCode.UNSUPPORTED_MEDIA_TYPE),
    "plain text": (
        lambda _: {"content": b"hello", "headers": {"Content-Type": "text/plain"}},
        415,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ),
    "a photo too large": (lambda path: {"json": body(path, PHOTO + bytes(LIMIT))}, 413, ErrorCode.PAYLOAD_TOO_LARGE),
    "a form without files": (
        lambda _: {"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        400,
        ErrorCode.INVALID_INPUT,
    ),
    "a form without a boundary": (
        lambda _: {"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        ErrorCode.BAD_REQUEST,
    ),
    "a broken form": (
        lambda _: {"content": b"garbage", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        400,
        ErrorCode.BAD_REQUEST,
    ),
    "a file too large": (
        lambda path: {"files": dict.fromkeys(FIELDS[path], PHOTO + bytes(LIMIT))},
        413,
        ErrorCode.PAYLOAD_TOO_LARGE,
    ),
}


@CALLS
@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bodies(api: Api, path: str, case: str) -> None:
    build, status, error = BAD_BODIES[case]
    reply = api.call("POST", path, **build(path))
    assert_refused(reply, status, error)
    if error is ErrorCode.LOW_QUALITY:
        assert reply.json()["reasons"] == ["UnderExposurePrevention"]


@CALLS
def test_the_largest_photo_allowed_is_allowed(api: Api, path: str) -> None:
    padded = PHOTO + bytes(LIMIT - len(PHOTO))
    assert api.call("POST", path, body(path, padded)).status_code in (200, 201)


@CALLS
def test_too_many_bytes_are_refused_from_the_header_alone(api: Api, path: str) -> None:
    """The body is never sent, so an answer proves that the server did not wait for it."""
    reply = raw_request(api, path, f"Content-Length: {100 * LIMIT}", b"")
    assert reply.startswith(b"HTTP/1.1 413")


@CALLS
def test_an_endless_body_is_cut_at_the_cap(api: Api, path: str) -> None:
    megabyte = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    reply = raw_request(api, path, "Transfer-Encoding: chunked", megabyte * 20)
    assert reply.startswith(b"HTTP/1.1 413")


@CALLS
def test_authorisation_comes_before_the_body(api: Api, path: str) -> None:
    reply = raw_request(api, path, f"Content-Length: {100 * LIMIT}", b"", token="wrong")
    assert reply.startswith(b"HTTP/1.1 401")


def raw_request(api: Api, path: str, length: str, content: bytes, token: str | None = None) -> bytes:
    address = urlsplit(api.server.url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token or api.token()}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(content)
        return connection.recv(4096)


def test_a_tenant_may_refuse_any_second_face(server: Server) -> None:
    with calling(server, settings=TenantSettings(face_policy="single")) as api:
        assert_refused(api.insert(fake_photo(1, faces=2)), 400, ErrorCode.MULTIPLE_FACES)


def test_a_client_has_so_many_calls_a_minute(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, requests_per_minute=3)) as server, calling(server) as api:
        # The token was the first call.
        assert [api.match(PHOTO, PHOTO).status_code for _ in range(2)] == [200, 200]
        stopped = api.match(PHOTO, PHOTO)
        assert_refused(stopped, 429, ErrorCode.TOO_MANY_REQUESTS)
        assert stopped.headers["retry-after"] == "20"
        assert stopped.headers["ratelimit-policy"] == '"client";q=3;w=60'
        assert stopped.headers["ratelimit"] == '"client";r=0;t=20'
        with another_client(api) as second:
            assert second.match(PHOTO, PHOTO).status_code == 200
        server.clock.move(20)
        assert [api.match(PHOTO, PHOTO).status_code for _ in range(2)] == [200, 429]


def test_a_call_that_is_refused_is_a_call_and_so_is_a_token(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, requests_per_minute=3)) as server:
        with calling(server, scopes=frozenset({Scope.FACE_MATCH})) as api:
            assert [api.search(PHOTO).status_code for _ in range(3)] == [403, 403, 429]
        with calling(server) as api:
            form = {
                "grant_type": "client_credentials",
                "client_id": api.client_id,
                "client_secret": api.client_secret,
            }
            replies = [api.http.post("/api/oauth/token", data=form) for _ in range(3)]
            assert [reply.status_code for reply in replies] == [200, 200, 429]
            assert replies[2].json()["error"] == "temporarily_unavailable"
            assert replies[2].headers["ratelimit-policy"] == '"client";q=3;w=60'


def test_a_tenants_clients_have_so_many_calls_a_minute_together(tmp_path: Path) -> None:
    settings = test_settings(tmp_path, requests_per_minute=3, tenant_requests_per_minute=3)
    with serving(settings) as server, calling(server) as api, another_client(api) as second:
        # What the first client does beyond its own limit takes nothing from the second one.
        assert [api.match(PHOTO, PHOTO).status_code for _ in range(9)] == [200, 200, *[429] * 7]
        assert second.match(PHOTO, PHOTO).status_code == 200
        stopped = second.match(PHOTO, PHOTO)
        assert_refused(stopped, 429, ErrorCode.TOO_MANY_REQUESTS)
        assert stopped.headers["ratelimit-policy"] == '"tenant";q=3;w=60'
        with calling(server) as other:
            assert other.match(PHOTO, PHOTO).status_code == 200


@pytest.mark.one_process  # several servers tell each other what they have counted
def test_there_are_limits_without_any_setting(server: Server) -> None:
    with calling(server) as api, calling(server) as other:
        for _ in range(DEFAULTS["requests_per_minute"] - 1):  # the token was the first call
            server.components.limits.client.take(api.client_id)
        assert_refused(api.match(PHOTO, PHOTO), 429, ErrorCode.TOO_MANY_REQUESTS)
        for _ in range(DEFAULTS["tenant_requests_per_minute"]):
            server.components.limits.tenant.take(other.tenant.id)
        assert_refused(other.match(PHOTO, PHOTO), 429, ErrorCode.TOO_MANY_REQUESTS)


@contextlib.contextmanager
def another_client(api: Api) -> Iterator[Api]:
    """Give a further caller of the same tenant."""
    made = api.server.deployment.clients.create(api.tenant.id, "another", frozenset(Scope))
    with httpx.Client(base_url=api.server.url, timeout=60) as http:
        other = Api(api.server, api.tenant, made.client_id, made.client_secret, http)
        other.headers = {"Authorization": f"Bearer {other.token()}"}
        yield other


def test_a_host_that_is_not_ours_is_refused_before_the_token_is_read(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, hosts="likeness.internal")) as server, calling(server) as api:
        statuses = {
            host: api.call("GET", "/api/v1/face/one-to-n", headers={"Host": host}).status_code
            for host in ("likeness.internal:80", "localhost", "evil.example")
        }
        assert statuses == {"likeness.internal:80": 200, "localhost": 200, "evil.example": 400}
        refused = api.http.get("/api/v1/face/one-to-n", headers={"Host": "evil.example"})
        assert_refused(refused, 400, ErrorCode.BAD_REQUEST)
        assert "location" not in refused.headers
        assert api.http.get("/readyz", headers={"Host": "evil.example"}).status_code == 200


def test_the_callers_request_id_is_echoed_if_it_is_plain(api: Api) -> None:
    assert api.match(b"", b"").headers["x-request-id"]
    reply = api.call("POST", MATCH, {}, headers={"X-Request-Id": "abc-123"})
    assert reply.headers["x-request-id"] == reply.json()["requestId"] == "abc-123"
    reply = api.call("POST", MATCH, {}, headers={"X-Request-Id": "a b\tc"})
    assert re.fullmatch(r"[0-9a-f-]{36}", reply.headers["x-request-id"])


def test_unknown_paths_and_methods_have_the_same_shape(api: Api) -> None:
    assert_refused(api.call("GET", "/api/v1/nothing"), 404, ErrorCode.NOT_FOUND)
    assert_refused(api.call("PUT", MATCH), 405, ErrorCode.BAD_REQUEST)


def test_a_fault_of_ours_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:

        class Broken:
            def __getattr__(self, name: str) -> Any:
                raise RuntimeError("a secret detail")

        server.app.state.components = replace(server.components, matcher=cast("Any", Broken()))
        reply = api.match(PHOTO, PHOTO)
        assert_refused(reply, 500, ErrorCode.UNEXPECTED_ERROR)
        assert "secret" not in reply.text
        assert reply.json()["requestId"] in caplog.text
