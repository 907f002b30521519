"""The demo's example backend: it shows a result only after it has verified the result."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from likeness.access.scopes import API_SCOPES
from likeness.cli.demo.backend import Backend
from likeness.engine.fake import fake_photo
from servers import Server, serving, test_settings
from session_endings import end, failure, success

PAGE = "http://localhost:1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(test_settings(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def backend(server: Server) -> Backend:
    tenants, clients = server.deployment.tenants, server.deployment.clients
    return Backend(server.url, PAGE, clients.create(tenants.create("demo").id, "demo", API_SCOPES))


def ask(backend: Backend, method: str, path: str, photo: bytes = b"") -> httpx.Response:
    async def call() -> httpx.Response:
        backend.http = httpx.AsyncClient(base_url=backend.server, trust_env=False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(backend.app()), base_url=PAGE) as visitor:
            reply = await visitor.request(method, path, content=photo)
        await backend.http.aclose()
        return reply

    return asyncio.run(call())


def opened(backend: Backend) -> tuple[str, str]:
    """Open a session, and give its nonce and its id."""
    reply = ask(backend, "POST", "/sessions", fake_photo(1))
    assert reply.status_code == 201, reply.text
    return next(iter(backend._sessions.items()))


def test_a_result_is_shown_after_it_was_verified(server: Server, backend: Backend) -> None:
    nonce, session_id = opened(backend)
    assert "No result" in ask(backend, "GET", f"/result/{nonce}").text
    end(server, session_id, success())
    shown = ask(backend, "GET", f"/result/{nonce}").text
    assert "Live, and the person in the photo" in shown
    assert session_id in shown


def test_a_failure_is_shown_as_one(server: Server, backend: Backend) -> None:
    nonce, session_id = opened(backend)
    end(server, session_id, failure())
    assert "Not confirmed" in ask(backend, "GET", f"/result/{nonce}").text


def test_a_result_of_another_session_is_not_believed(server: Server, backend: Backend) -> None:
    nonce, session_id = opened(backend)
    end(server, session_id, success())
    backend._sessions["another"] = session_id
    reply = ask(backend, "GET", "/result/another")
    assert (reply.status_code, "does not verify" in reply.text) == (502, True)
    assert "does not verify" not in ask(backend, "GET", f"/result/{nonce}").text


@pytest.mark.parametrize(("photo", "status"), [(b"", 400), (b"GIF89a" + bytes(100), 415), (bytes(7 << 20), 413)])
def test_what_is_no_photo_is_reported_in_a_sentence(backend: Backend, photo: bytes, status: int) -> None:
    reply = ask(backend, "POST", "/sessions", photo)
    assert (reply.status_code, reply.json()["message"][-1]) == (status, ".")
