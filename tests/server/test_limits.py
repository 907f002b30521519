"""No caller makes the server hold more, or wait longer, than its limits allow."""

import contextlib
import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from likeness.engine.fake import fake_photo
from likeness.server import protocol, running
from likeness.server.connections import Connections
from server.wire import Answer, Line
from servers import Server, calling, serving, test_settings, wait_until


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with short deadlines and few places."""
    limits = {"request_seconds": 1, "keep_alive_seconds": 2, "max_connections": 20, "body_bytes_per_second": 100_000}
    with serving(test_settings(tmp_path_factory.mktemp("strict"), **limits)) as running:
        yield running


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    # The token call refuses in the form of RFC 6749.
    assert set(answer.json) in ({"error", "message", "requestId"}, {"error", "error_description"})


def pour(line: Line, chunk: bytes, times: int) -> int:
    """Send a chunk until the server takes no more. Give the number of chunks sent."""
    for number in range(times):
        try:
            line.socket.sendall(chunk)
        except OSError:
            return number
    return times


HEADS = {
    "one header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 40_000,
    "a long address": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a whole head": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 4000 + b"\r\n") * 10 + b"\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 120 + b"\r\n",
    "one name": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X" * 70_000,
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("after", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["at first", "later"])
def test_a_head_without_measure_is_refused(strict: Server, kind: str, after: bytes) -> None:
    with Line(strict) as line:
        if after:
            line.send(after)
            assert line.answer().status == 200
        line.send(HEADS[kind])
        assert_refused(line.answer(), 431)
        assert line.is_closed()


def test_a_head_within_measure_is_taken(strict: Server) -> None:
    with Line(strict) as line:
        line.send(line.head("GET /healthz", *(f"X-{number}: {'a' * 250}" for number in range(99))))
        assert line.answer().status == 200


def test_a_head_without_end_is_not_read_on(strict: Server) -> None:
    with Line(strict) as line:
        line.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: ")
        assert pour(line, b"a" * (1 << 20), 256) < 256


def test_a_head_that_comes_slowly_is_refused(strict: Server) -> None:
    with Line(strict) as line:
        line.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n", *[b"X: a\r\n"] * 3)
        assert_refused(line.answer(), 408)


@pytest.mark.parametrize("said", [b"", b"\r\n", b"\r\n\r\n\r\n"], ids=["nothing", "an empty line", "empty lines"])
@pytest.mark.parametrize("after", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["at first", "later"])
def test_a_connection_that_says_nothing_is_closed(strict: Server, said: bytes, after: bytes) -> None:
    with Line(strict) as line:
        if after:
            line.send(after)
            assert line.answer().status == 200
        line.send(said)
        assert line.is_closed()


FORM = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 16000")


def test_a_body_that_does_not_come_is_refused(strict: Server) -> None:
    with Line(strict) as line:
        line.send(line.head("POST /api/oauth/token", *FORM) + b"g")
        assert_refused(line.answer(), 408)


def test_a_body_that_comes_by_the_drop_is_refused(strict: Server) -> None:
    with Line(strict) as line:
        line.send(line.head("POST /api/oauth/token", *FORM), *[b"g"] * 40)
        assert_refused(line.answer(), 408)


def test_a_body_at_the_least_rate_is_taken_however_long(strict: Server) -> None:
    """The whole body takes longer than the limit for one pause."""
    photo = fake_photo(1) + bytes(400_000)
    body = b'--x\r\nContent-Disposition: form-data; name="idPhoto"; filename="a"\r\n\r\n' + photo + b"\r\n--x--\r\n"
    with calling(strict) as api, Line(strict) as line:
        headers = ("Content-Type: multipart/form-data; boundary=x", f"Authorization: {api.headers['Authorization']}")
        head = line.head("POST /api/v1/face/one-to-n/search", *headers, f"Content-Length: {len(body)}")
        step = len(body) // 30
        line.send(head, *(body[start : start + step] for start in range(0, len(body), step)))
        assert line.answer().status == 200


def test_an_upload_is_not_read_on_for_ever_after_its_refusal(strict: Server) -> None:
    """The refusal arrives, although the caller sends more bytes than a request may have."""
    megabyte = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    with Line(strict) as line:
        line.send(line.head("POST /api/v1/face/match", "Transfer-Encoding: chunked"))
        taken = pour(line, megabyte, 16)
        assert taken == 16
        assert_refused(line.answer(), 401)
        assert pour(line, megabyte, 1000) < 1000
        assert line.is_closed()


def test_a_refused_upload_is_read_on_at_a_pace(strict: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the event loop reads megabytes from a fast sender while all others wait."""
    pauses: list[protocol.HttpProtocol] = []

    def read_on(connection: protocol.HttpProtocol) -> None:
        pauses.append(connection)
        read_on_after_pause(connection)

    read_on_after_pause = protocol.HttpProtocol._read_on
    monkeypatch.setattr(protocol.HttpProtocol, "_read_on", read_on)
    with Line(strict) as line:
        line.send(line.head("POST /api/v1/face/match", "Content-Length: 14000000") + b"{")
        assert_refused(line.answer(), 401)
        assert pour(line, bytes(1 << 20), 8) == 8
        wait_until(lambda: len(pauses) >= (8 << 20) / 256_000)  # the most that uvloop reads at once


def test_what_was_never_read_is_not_kept(strict: Server) -> None:
    """Otherwise each refused upload would stay in memory until the next garbage collection."""
    with Line(strict) as line:
        line.send(line.head("POST /api/v1/face/match", "Content-Length: 1000000") + bytes(50_000))
        assert_refused(line.answer(), 401)
    # By type(): isinstance() raises ReferenceError for a weak proxy whose object is gone.
    wait_until(
        lambda: not [one for one in gc.get_objects() if issubclass(type(one), RequestResponseCycle) and one.body]
    )


def test_a_refused_upload_that_stops_is_let_go(strict: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 0.5)
    with Line(strict) as line:
        line.send(line.head("POST /api/v1/face/match", "Content-Length: 1000000") + b"{")
        assert_refused(line.answer(), 401)
        assert line.is_closed()
        wait_until(lambda: pour(line, b"a", 1) == 0)


def test_a_bad_request_behind_a_good_one_does_not_take_its_answer(strict: Server) -> None:
    with calling(strict) as api, Line(strict) as line:
        form = f"grant_type=client_credentials&client_id={api.client_id}&client_secret={api.client_secret}".encode()
        good = line.head("POST /api/oauth/token", FORM[0], f"Content-Length: {len(form)}") + form
        line.send(good + b"\x00\x01 bad\r\n\r\n")
        assert line.answer().status == 200
        assert line.is_closed()


def open_connections(server: Server) -> int:
    return len(server.app.state.server.server_state.connections)


def test_an_answer_that_nobody_takes_is_dropped(strict: Server) -> None:
    with Line(strict, seconds=1) as line:
        asked = line.head("GET /openapi.json") * 8
        with contextlib.suppress(OSError):
            for _ in range(200):
                line.send(asked, b"")
        wait_until(lambda: open_connections(strict) == 0)


def test_requests_in_one_packet_are_not_queued_without_number(strict: Server) -> None:
    with Line(strict) as line:
        with contextlib.suppress(OSError):
            line.socket.sendall(line.head("GET /healthz") * 5000)
        answers = 0
        with contextlib.suppress(EOFError, ConnectionError):
            while line.answer().status == 200:
                answers += 1
        assert 2 <= answers <= protocol.PIPELINED + 1


def test_silent_connections_push_out_themselves(strict: Server, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(Line(strict)) for _ in range(60)]
        for _ in range(5):
            assert httpx.get(f"{strict.url}/healthz").status_code == 200
        assert sum(not line.is_closed() for line in silent[:20]) == 0
    wait_until(lambda: "there are places" in caplog.text)
    lines = [record.getMessage() for record in caplog.records if record.name == "likeness.server"]
    assert len([line for line in lines if "no place is free" in line]) == len(
        [line for line in lines if "again" in line]
    )


def test_who_is_being_worked_for_keeps_his_place(tmp_path: Path) -> None:
    class Someone:
        def __init__(self) -> None:
            self.dropped = False

        def drop(self) -> None:
            self.dropped = True

    places = Connections(limit=2, descriptors=100)
    first, second, third = Someone(), Someone(), Someone()
    assert places.enter(first, 5)
    assert places.enter(second, 6)
    places.heard(first)
    assert places.enter(third, 7)
    assert [one.dropped for one in (first, second, third)] == [False, True, False]
    places.leave(second)
    places.heard(third)
    assert not places.enter(Someone(), 8)


def test_workers_leave_the_event_loop_its_turn(strict: Server) -> None:
    assert sys.getswitchinterval() == pytest.approx(running.SWITCH_SECONDS)
    assert running.SWITCH_SECONDS <= 0.001


def test_descriptors_are_kept_for_the_servers_own_work(caplog: pytest.LogCaptureFixture) -> None:
    class Someone:
        def drop(self) -> None:
            raise AssertionError

    places = Connections(limit=1000, descriptors=50)
    assert places.enter(Someone(), 49)
    places.heard(next(iter(places._waiting)))
    with caplog.at_level(logging.WARNING):
        assert not places.enter(Someone(), 50)
        assert not places.enter(Someone(), 51)
    assert len(caplog.records) == 1
