"""Which hosts a request may name."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from likeness.web.hosts import KnownHosts

NAMES = frozenset({"localhost", "face.example", "likeness"})


def answered(host: bytes | None, *, path: str = "/api/v1/face/match", kind: str = "http") -> bool:
    """Whether a request reaches the application. A refused one gets 400, or a closed socket."""
    reached: list[bool] = []
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(True)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("a refusal reads nothing")

    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "headers": [(b"accept", b"*/*"), *([] if host is None else [(b"host", host)])],
        "server": ("::ffff:10.0.0.7", 8000),
        "state": {"request_id": "r"},
    }
    asyncio.run(KnownHosts(app, NAMES)(scope, receive, send))
    if not reached:
        refusal = ("http.response.start", 400) if kind == "http" else ("websocket.close", None)
        assert (sent[0]["type"], sent[0].get("status")) == refusal
    return bool(reached)


@pytest.mark.parametrize(
    "host",
    [
        b"face.example",
        b"face.example:8443",
        b"FACE.Example.",
        b"likeness:8000",
        b"localhost:8000",
        b"127.0.0.1:8000",
        b"127.8.8.8",
        b"[::1]:8000",
        b"10.0.0.7:8000",
    ],
)
def test_the_servers_own_names_and_addresses_are_known(host: bytes) -> None:
    assert answered(host)
    assert answered(host, kind="websocket")


@pytest.mark.parametrize(
    "host",
    [
        None,
        b"",
        b"evil.example",
        b"face.example.evil.example",
        b"evil-face.example",
        b"face.example@evil.example",
        b"evil.example:face.example",
        b"face.example, evil.example",
        b"face.example/x",
        b"[face.example]",
        b"[::1]evil.example",
        b"10.0.0.8",
        b"0.0.0.0",
        b"\xff",
    ],
)
def test_any_other_host_is_refused_but_for_health_checks(host: bytes | None) -> None:
    assert not answered(host)
    assert not answered(host, kind="websocket")
    assert answered(host, path="/healthz")
    assert answered(host, path="/readyz")
