"""No request loses its body or its answer, however it is sent."""

from urllib.parse import urlencode

import pytest

from likeness.engine.fake import fake_photo
from likeness.web.request_context import SEALED_OFF
from server.wire import Line
from servers import Api, b64

PHOTO = fake_photo(1)
OFFERS = {
    "no offer": (),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA"),
    "another protocol": ("Connection: keep-alive, upgrade", "Upgrade: foo/2"),
    "websocket not meant": ("Upgrade: websocket",),
    "100-continue": ("Expect: 100-continue",),
    "both": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEA", "Expect: 100-continue"),
}
FORM = "multipart/form-data; boundary=line"


def token_form(api: Api) -> tuple[str, str, bytes]:
    form = {"grant_type": "client_credentials", "client_id": api.client_id, "client_secret": api.client_secret}
    return "/api/oauth/token", "application/x-www-form-urlencoded", urlencode(form).encode()


def match_form(_: Api) -> tuple[str, str, bytes]:
    parts = [
        b'--line\r\nContent-Disposition: form-data; name="%s"; filename="a.jpg"\r\n\r\n%s\r\n' % (name, PHOTO)
        for name in (b"sourceImage", b"targetImage")
    ]
    return "/api/v1/face/match", FORM, b"".join(parts) + b"--line--\r\n"


def match_json(_: Api) -> tuple[str, str, bytes]:
    photo = b64(PHOTO + bytes(300_000)).encode()
    return "/api/v1/face/match", "application/json", b'{"sourceImage":"%s","targetImage":"%s"}' % (photo, photo)


def chunked(body: bytes, size: int) -> bytes:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize("packets", [1, 2])
@pytest.mark.parametrize("coding", ["by length", "chunked"])
@pytest.mark.parametrize("make", [token_form, match_form, match_json], ids=lambda make: make.__name__)
@pytest.mark.parametrize("offer", OFFERS)
def test_a_body_is_kept_whatever_is_offered(api: Api, offer: str, make: object, coding: str, packets: int) -> None:
    path, kind, body = make(api)  # type: ignore[operator]
    sent, length = (
        (chunked(body, 5000), "Transfer-Encoding: chunked")
        if coding == "chunked"
        else (body, f"Content-Length: {len(body)}")
    )
    authorization = f"Authorization: {api.headers['Authorization']}"
    with Line(api.server) as line:
        head = line.head(f"POST {path}", f"Content-Type: {kind}", authorization, length, *OFFERS[offer])
        for _ in range(2):  # the connection still works
            line.send(*([head + sent] if packets == 1 else [head, sent]))
            answer = line.answer()
            if answer.status == 100:
                answer = line.answer()
            assert answer.status == 200, answer.body
            assert answer.json.get("match", "access_token" in answer.json) is True


def test_a_body_waits_to_be_asked_for(api: Api) -> None:
    path, kind, body = token_form(api)
    with Line(api.server) as line:
        line.send(
            line.head(f"POST {path}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Expect: 100-continue")
        )
        assert line.answer().status == 100
        line.send(body)
        assert line.answer().status == 200


def test_a_body_that_is_refused_is_not_asked_for(api: Api) -> None:
    with Line(api.server) as line:
        line.send(line.head("POST /api/v1/face/match", "Content-Length: 1000000", "Expect: 100-continue"))
        assert line.answer().status == 401


@pytest.mark.parametrize("make", [token_form, match_json], ids=lambda make: make.__name__)
def test_who_closes_his_half_is_answered(api: Api, make: object) -> None:
    path, kind, body = make(api)  # type: ignore[operator]
    with Line(api.server) as line:
        length, authorization = f"Content-Length: {len(body)}", f"Authorization: {api.headers['Authorization']}"
        line.send(line.head(f"POST {path}", f"Content-Type: {kind}", authorization, length) + body)
        line.socket.shutdown(1)
        assert line.answer().status == 200
        assert line.is_closed()


def test_who_is_cut_off_is_let_go(api: Api) -> None:
    with Line(api.server) as line:
        form = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000")
        line.send(line.head("POST /api/oauth/token", *form) + b"grant_type=")
        line.socket.shutdown(1)
        assert line.is_closed()


def test_requests_in_one_packet_are_answered_in_turn(api: Api) -> None:
    path, kind, body = match_json(api)
    authorization = f"Authorization: {api.headers['Authorization']}"
    with Line(api.server) as line:
        match = line.head(f"POST {path}", f"Content-Type: {kind}", authorization, f"Content-Length: {len(body)}") + body
        line.send(match + line.head("GET /healthz") + line.head("GET /nothing") + match + line.head("HEAD /healthz"))
        assert [line.answer().status for _ in range(4)] == [200, 200, 404, 200]
        assert line.answer(head=True).headers["content-length"] == "15"


@pytest.mark.parametrize("hosts", [0, 2])
def test_a_request_has_one_host(api: Api, hosts: int) -> None:
    with Line(api.server) as line:
        line.send(b"GET /healthz HTTP/1.1\r\n" + b"Host: a\r\n" * hosts + b"\r\n")
        answer = line.answer()
        assert (answer.status, answer.json["error"]) == (400, "BAD_REQUEST")
        assert line.is_closed()


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: +4",
        b"Transfer-Encoding: chunked, identity",
    ],
)
def test_a_request_has_one_length(api: Api, lengths: bytes) -> None:
    """So no proxy and no server take a body's end for the beginning of another request."""
    with Line(api.server) as line:
        line.send(b"POST /api/oauth/token HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n\r\n0\r\n\r\n")
        answer = line.answer()
        assert (answer.status, answer.json["error"]) == (400, "BAD_REQUEST")
        assert {name.lower(): value for name, value in SEALED_OFF.items()}.items() <= answer.headers.items()
        assert line.is_closed()


def test_an_old_request_needs_no_host(api: Api) -> None:
    with Line(api.server) as line:
        line.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert line.answer().status == 200
        assert line.is_closed()


@pytest.mark.parametrize(
    "request_line",
    [b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"GET /healthz HTTP/9", b"G\x00T / HTTP/1.1", b"GET /\xff HTTP/1.1"],
)
def test_what_is_no_request_is_refused_in_the_contracts_shape(api: Api, request_line: bytes) -> None:
    with Line(api.server) as line:
        line.send(request_line + b"\r\nHost: a\r\n\r\n")
        answer = line.answer()
        assert answer.status == 400
        assert set(answer.json) == {"error", "message", "requestId"}
        assert answer.json["requestId"] == answer.headers["x-request-id"]
        assert line.is_closed()
