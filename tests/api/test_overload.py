"""An overloaded server refuses before it reads a body, does no useless work, and is fair between tenants."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from likeness.engine.fake import FakeEngine, fake_photo
from likeness.kit import admission
from likeness.kit.admission import FIRST_GUESS_SECONDS, Admission
from servers import Api, Server, calling, serving, test_settings, wait_until

PHOTO = fake_photo(1)
CALLS = pytest.mark.parametrize(
    "path", ["/api/v1/face/match", "/api/v1/face/one-to-n/search", "/api/v1/face/one-to-n/insert", "/api/v1/face"]
)
QUEUE_SECONDS = 0.5
MOST = int(QUEUE_SECONDS * 2 / FIRST_GUESS_SECONDS / 2)
"""Matches that get a place before the server knows the time of a photo."""


class HeldEngine(FakeEngine):
    """Analyses no photo while it is held."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.analysed = 0

    def analyse(self, photo: bytes, **options: Any) -> Any:
        assert self.free.wait(60)
        self.analysed += 1
        return super().analyse(photo, **options)


ENGINE = HeldEngine()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(test_settings(tmp_path_factory.mktemp("held"), queue_seconds=QUEUE_SECONDS), ENGINE) as running:
        yield running


@pytest.fixture
def line(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admission]:
    """Hold the engine, and let no place lapse."""
    monkeypatch.setattr(admission, "LAPSE_SECONDS", 1e9)
    asked = server.components.admission
    asked.seconds = FIRST_GUESS_SECONDS
    ENGINE.free.clear()
    try:
        yield asked
    finally:
        ENGINE.free.set()


def match(api: Api) -> httpx.Response:
    with httpx.Client(base_url=api.server.url, timeout=60, headers=api.headers) as http:
        return http.post("/api/v1/face/match", files={"sourceImage": PHOTO, "targetImage": PHOTO})


def waits(line: Admission, api: Api, photos: int) -> bool:
    return line._photos[api.tenant.id] == photos


def begin_upload(api: Api, path: str) -> socket.socket:
    """Send only a call's head, which announces a body."""
    address = urlsplit(api.server.url)
    one = socket.create_connection((address.hostname, address.port), timeout=30)
    headers = (f"Host: {address.netloc}", f"Authorization: {api.headers['Authorization']}")
    body = ("Content-Type: application/json", "Content-Length: 100000")
    one.sendall("\r\n".join([f"POST {path} HTTP/1.1", *headers, *body, "", ""]).encode())
    return one


def test_one_tenants_flood(server: Server, line: Admission) -> None:
    """Requests with a place are answered, the others are refused without work, and another tenant is served."""
    with calling(server) as flooding, calling(server) as other, ThreadPoolExecutor(3 * MOST) as callers:
        before = ENGINE.analysed
        flood = [callers.submit(match, flooding) for _ in range(2 * MOST)]
        wait_until(lambda: sum(each.done() for each in flood) == MOST)
        single = callers.submit(match, other)
        wait_until(lambda: waits(line, other, 2))
        ENGINE.free.set()
        answers = [each.result() for each in flood]
        assert sorted(answer.status_code for answer in answers) == [200] * MOST + [503] * MOST
        for refusal in (answer for answer in answers if answer.status_code == 503):
            assert refusal.json()["error"] == "SERVICE_UNAVAILABLE"
            assert 1 <= int(refusal.headers["Retry-After"]) <= 2
        assert single.result().status_code == 200
        assert ENGINE.analysed - before == 2 * (MOST + 1)
        assert match(flooding).status_code == 200


@CALLS
def test_a_refusal_waits_for_no_body(server: Server, line: Admission, path: str) -> None:
    with calling(server) as api, ThreadPoolExecutor(MOST) as callers:
        held = [callers.submit(match, api) for _ in range(MOST)]
        wait_until(lambda: waits(line, api, 2 * MOST))
        with begin_upload(api, path) as upload:
            assert upload.recv(100).startswith(b"HTTP/1.1 503")
        ENGINE.free.set()
        assert {each.result().status_code for each in held} == {200}


@CALLS
def test_who_leaves_in_the_middle_of_a_body_gives_the_place_back(server: Server, line: Admission, path: str) -> None:
    ENGINE.free.set()
    with calling(server) as api:
        with contextlib.ExitStack() as stack:
            for _ in range(MOST):
                stack.enter_context(begin_upload(api, path))
            wait_until(lambda: line._photos[api.tenant.id] >= MOST)
        wait_until(lambda: waits(line, api, 0))
        assert line._bytes.free == line._bytes.total
        assert match(api).status_code == 200


def test_a_call_that_is_refused_for_its_content_gives_the_place_back(server: Server, line: Admission) -> None:
    ENGINE.free.set()
    with calling(server) as api:
        for body in ({}, {"sourceImage": "a", "targetImage": "a"}):
            for _ in range(2 * MOST):
                assert api.call("POST", "/api/v1/face/match", body).status_code == 400
        assert api.match(fake_photo(1, faces=0), PHOTO).status_code == 400
        assert waits(line, api, 0)


def test_a_tenant_has_so_many_calls_at_once(tmp_path: Path) -> None:
    """A call counts from its head to the end of its answer, however it ends."""
    path = "/api/v1/face/match"
    with serving(test_settings(tmp_path, tenant_calls=2)) as server, calling(server) as api, calling(server) as other:
        calls = server.components.limits.at_once
        with begin_upload(api, path), begin_upload(api, path):
            wait_until(lambda: calls._running[api.tenant.id] == 2)
            refused = api.match(PHOTO, PHOTO)
            assert (refused.status_code, refused.json()["error"]) == (429, "TOO_MANY_REQUESTS")
            assert refused.headers["ratelimit-policy"] == '"calls-at-once";q=2;qu="concurrent-requests"'
            assert refused.headers["retry-after"] == "1"
            assert other.match(PHOTO, PHOTO).status_code == 200
        wait_until(lambda: not calls._running)
        assert [api.match(PHOTO, PHOTO).status_code for _ in range(3)] == [200] * 3
        assert api.call("POST", path, {}).status_code == 400
        wait_until(lambda: not calls._running)


def test_the_largest_bodies_are_bounded_in_number(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, workers=1)) as server, calling(server) as api, contextlib.ExitStack() as stack:
        asked = server.components.admission
        largest = asked._bytes.total // 2
        place = asked.ask(api.tenant.id, photos=2, size=largest)
        asked.ask(api.tenant.id, photos=2, size=largest)
        stack.callback(place.leave)
        assert api.match(PHOTO, PHOTO).status_code == 503
        place.leave()
        assert api.match(PHOTO, PHOTO).status_code == 200
