"""An object store that is slow, fails, or lies."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import Cipher, new_data_key
from likeness.settings import MEBIBYTE
from likeness.store import remote
from likeness.store.images import PURPOSE, ImageStore
from s3_server import s3_environment, use_s3

CIPHER = Cipher({1: new_data_key()}, "tenant")
PHOTO = b"\xff\xd8\xff a photo of somebody" * 100
SEALED = CIPHER.seal(PHOTO, PURPOSE, "1")
Answer = Callable[[BaseHTTPRequestHandler, int], None]
"""Answers a request. It gets the number of requests before it."""


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Run a server that answers each request by ``answer``. Give its address and the requests."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            requests.append(f"{self.command} {self.path}")
            self.close_connection = True
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with contextlib.suppress(OSError):  # the client has left
                answer(self, len(requests) - 1)

        do_GET = do_PUT = do_DELETE = _answer  # noqa: N815  names of http.server

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(to: BaseHTTPRequestHandler, content: bytes, *, status: int = 200, length: int | None = None) -> None:
    to.send_response(status)
    to.send_header("Content-Length", str(len(content) if length is None else length))
    to.send_header("Last-Modified", "Mon, 30 Nov 2026 08:00:00 GMT")
    to.send_header("ETag", '"tag"')
    to.send_header("Connection", "close")
    to.end_headers()
    to.wfile.write(content)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client give up after a second, not after fifteen."""
    monkeypatch.setattr(remote, "CALL_SECONDS", 1)
    monkeypatch.setattr(remote, "_SLOW", {"timeout": timedelta(seconds=30)})
    monkeypatch.setattr(remote, "_PATIENCE", {**remote._PATIENCE, "max_retries": 2})


@contextmanager
def store_of(answer: Answer, patch: pytest.MonkeyPatch) -> Iterator[tuple[ImageStore, list[str]]]:
    with answering(answer) as (address, requests):
        use_s3(patch, address)
        yield ImageStore("s3://photos/prefix"), requests


def test_a_fault_that_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(to: BaseHTTPRequestHandler, earlier: int) -> None:
        send(to, SEALED if earlier else b"", status=200 if earlier else 500)

    with store_of(answer, monkeypatch) as (images, requests):
        assert asyncio.run(images.get("t", "1", CIPHER)) == PHOTO
    assert requests == ["GET /photos/prefix/t/1"] * 2


def test_a_store_that_fails_each_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with store_of(lambda to, _: send(to, b"", status=500), monkeypatch) as (images, requests):
        with pytest.raises(ServiceUnavailable) as raised:
            asyncio.run(images.put("t", "1", PHOTO, CIPHER))
        assert raised.value.headers == {"Retry-After": "2"}
        assert requests == ["PUT /photos/prefix/t/1"] * 3
        for call in (images.get("t", "1", CIPHER), images.delete("t", "1"), images.set_aside("t", "1")):
            with pytest.raises(ServiceUnavailable):
                asyncio.run(call)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SEALED[:-1], id="cut"),
        pytest.param(b"", id="empty"),
        pytest.param(PHOTO, id="not-sealed"),
        pytest.param(SEALED[:50] + bytes([SEALED[50] ^ 1]) + SEALED[51:], id="one-bit"),
        pytest.param(CIPHER.seal(PHOTO, PURPOSE, "2"), id="another-photo"),
        pytest.param(Cipher({1: new_data_key()}, "other").seal(PHOTO, PURPOSE, "1"), id="another-tenant"),
    ],
)
def test_an_answer_that_is_not_the_photo_is_refused_by_its_seal(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    with (
        store_of(lambda to, _: send(to, content), monkeypatch) as (images, _),
        pytest.raises(SetupError, match="does not open"),
    ):
        asyncio.run(images.get("t", "1", CIPHER))


def read_for_nothing(patch: pytest.MonkeyPatch, answer: Answer, caplog: pytest.LogCaptureFixture) -> str:
    """Read a photo that the store does not give. Give the logged cause."""
    with store_of(answer, patch) as (images, _), pytest.raises(ServiceUnavailable, match="cannot be read"):
        asyncio.run(images.get("t", "1", CIPHER))
    return caplog.messages[-1]


def test_an_answer_that_ends_early_is_no_photo(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read_for_nothing(monkeypatch, lambda to, _: send(to, SEALED[:100], length=len(SEALED)), caplog)


def test_an_answer_without_end_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def pour(to: BaseHTTPRequestHandler, _: int) -> None:
        send(to, b"", length=1 << 40)
        while True:
            to.wfile.write(bytes(MEBIBYTE))

    monkeypatch.setattr(remote, "CALL_SECONDS", 60)
    assert "longer than any photo" in read_for_nothing(monkeypatch, pour, caplog)


def test_an_answer_that_drips_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    left = threading.Event()

    def drip(to: BaseHTTPRequestHandler, _: int) -> None:
        send(to, b"", length=1 << 20)
        with contextlib.suppress(OSError):
            while not left.wait(0.05):
                to.wfile.write(b"x")

    try:
        assert "does not answer in time" in read_for_nothing(monkeypatch, drip, caplog)
    finally:
        left.set()


def test_the_loop_runs_on_while_a_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Event()

    def wait(to: BaseHTTPRequestHandler, _: int) -> None:
        left.wait(30)

    async def main(images: ImageStore) -> None:
        reading = asyncio.create_task(images.get("t", "1", CIPHER))
        for _ in range(10):
            await asyncio.sleep(0.01)
            assert not reading.done()
        with pytest.raises(ServiceUnavailable):
            await reading

    try:
        with store_of(wait, monkeypatch) as (images, _):
            asyncio.run(main(images))
    finally:
        left.set()


@pytest.mark.parametrize("listing", [b"", b"no listing", b"<ListBucketResult><Contents>"])
def test_a_listing_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, listing: bytes) -> None:
    async def collect(images: ImageStore) -> list[str]:
        return [name async for names in images.ids("t") for name in names]

    with store_of(lambda to, _: send(to, listing), monkeypatch) as (images, _), pytest.raises(ServiceUnavailable):
        asyncio.run(collect(images))


def test_no_secret_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    read_for_nothing(monkeypatch, lambda to, _: send(to, b"", status=500), caplog)
    assert caplog.text
    assert s3_environment("")["AWS_SECRET_ACCESS_KEY"] not in caplog.text
