"""The Python client against the real server: every call, sync and async, and what it does when calls fail."""

import asyncio
import contextlib
import inspect
import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.disturbed import Disturbed
from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.webhooks.signature import sign_body
from likeness_client import (
    ApiError,
    AsyncClient,
    Busy,
    Client,
    FaceRefused,
    NoAnswer,
    NotFound,
    NotVerified,
    Unauthorized,
    verify_webhook,
)
from servers import Api, Server, calling
from session_endings import end, failure, success

README = (Path(__file__).parents[2] / "clients" / "python" / "README.md").read_text()
DOCS = Path(__file__).parents[2] / "docs"
START = (DOCS / "start.md").read_text()
ALICE, BOB = fake_photo(1), fake_photo(2)
MATCH, INSERT, SEARCH = "/api/v1/face/match", "/api/v1/face/one-to-n/insert", "/api/v1/face/one-to-n/search"
TOKEN, SESSION = "/api/oauth/token", "/api/v1/face"


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with Client(f"{api.server.url}/", api.client_id, api.client_secret) as made:
        yield made


@contextlib.contextmanager
def disturbed(api: Api, transport: Disturbed, **options: Any) -> Iterator[Client]:
    with httpx.Client(transport=transport, timeout=60) as http:
        yield Client(api.server.url, api.client_id, api.client_secret, http=http, **options)


def test_it_is_a_typed_distribution_of_its_own() -> None:
    assert distribution("likeness-client").version == "0.1.0"
    assert (files("likeness_client") / "py.typed").is_file()


def test_a_photo_is_bytes_or_a_path_or_a_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "alice.jpg"
    path.write_bytes(ALICE)
    for photo in (ALICE, bytearray(ALICE), path, str(path), io.BytesIO(ALICE)):
        compared = client.match(photo, ALICE, minimum_match_level=5)
        assert compared
        assert (compared.match_level, compared.score, compared.model) == (5, 1, "fake@1")
    assert 0 < compared.source.quality <= 100
    assert compared.source.width > 0
    assert not client.match(ALICE, BOB)
    with pytest.raises(FileNotFoundError):
        client.match(tmp_path / "none.jpg", ALICE)


def test_the_gallery_is_filled_searched_and_emptied(client: Client) -> None:
    end = datetime(2500, 1, 1, tzinfo=UTC)
    grounds: dict[str, Any] = {"consent_reference": "consent-7", "purpose": "opening an account", "expires_at": end}
    entry_id = client.insert(ALICE, external_id="customer/1", metadata={"branch": "Bern"}, **grounds)
    found = client.search(ALICE, candidates=2)
    assert found
    assert found.one_to_n_verification_id == entry_id
    assert [each.external_id for each in found.candidates] == ["customer/1"]
    assert not client.search(BOB)
    new = client.search(BOB, insert=True, purpose="access")
    assert not new
    assert {each.one_to_n_verification_id for each in client.entries()} == {entry_id, new.one_to_n_verification_id}
    (entry,) = client.entries(external_id="customer/1")
    assert (entry.metadata, entry.image_stored) == ({"branch": "Bern"}, True)
    assert (entry.consent_reference, entry.purpose) == ("consent-7", "opening an account")
    assert (entry.expires_at, entry.legal_hold) == (end, None)
    assert new.one_to_n_verification_id
    assert client.entry(new.one_to_n_verification_id).purpose == "access"
    client.delete_image(entry_id)
    assert client.entry(entry_id).image_stored is False
    client.erase(entry_id)
    with pytest.raises(NotFound) as gone:
        client.entry(entry_id)
    assert gone.value.request_id


def test_a_photo_is_compared_with_an_enrolled_person(client: Client) -> None:
    entry_id = client.insert(ALICE, photo_source="ID_DOCUMENT")
    compared = client.match(ALICE, target_id=entry_id, photo_source="SELFIE")
    assert compared
    assert compared.target is None
    assert not client.match(BOB, target_id=entry_id)
    with pytest.raises(NotFound):
        client.match(ALICE, target_id=str(uuid.uuid4()))
    with pytest.raises(TypeError):
        client.match(ALICE)
    with pytest.raises(TypeError):
        client.match(ALICE, BOB, target_id=entry_id)


def test_a_portrait_is_cut(client: Client) -> None:
    portrait = client.portrait(ALICE, photo_source="CHIP")
    assert portrait.jpeg.startswith(b"\xff\xd8")
    assert portrait.width > 0 < portrait.face.width
    assert isinstance(portrait.reasons, tuple)


OLDER_NAMES = {"activeLiveness"}
"""Members that say in another way what a member beside them says."""


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("match", "MatchRequest"),
        ("portrait", "PortraitRequest"),
        ("search", "SearchRequest"),
        ("insert", "InsertRequest"),
        ("open_session", "SessionRequest"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_every_member_of_a_request_can_be_given(kind: type[Client | AsyncClient], name: str, schema: str) -> None:
    described = json.loads((DOCS / "openapi.json").read_text())["components"]["schemas"][schema]["properties"]
    given = set(inspect.signature(getattr(kind, name)).parameters) - {"self", "idempotency_key"}
    own = {"photo": "idPhoto", "source": "sourceImage", "target": "targetImage", "photo_source": "source"}
    assert {own.get(each) or camel_case(each) for each in given} == set(described) - OLDER_NAMES


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)


def test_entries_come_from_every_page(api: Api, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for person in range(3):
        client.insert(fake_photo(person))
    from likeness_client import calls  # noqa: PLC0415

    whole = calls.entries

    def short(**given: Any) -> Any:
        call = whole(**given)
        return type(call)(call.method, call.path, call.read, params={**call.params, "limit": "2"})

    monkeypatch.setattr(calls, "entries", short)
    assert len({entry.one_to_n_verification_id for entry in client.entries()}) == 3


def test_a_refusal_says_what_and_why(client: Client, api: Api) -> None:
    with pytest.raises(FaceRefused) as refused:
        client.match(fake_photo(1, faces=0), ALICE)
    assert (refused.value.code, refused.value.status) == ("NO_FACE", 400)
    with pytest.raises(ApiError) as wrong:
        client.match(b"no photo", ALICE)
    assert (wrong.value.code, wrong.value.status) == ("UNSUPPORTED_MEDIA_TYPE", 415)
    with (
        Client(api.server.url, api.client_id, "wrong") as stranger,
        pytest.raises(Unauthorized, match="invalid_client"),
    ):
        stranger.match(ALICE, ALICE)
    with calling(api.server, scopes=frozenset({Scope.FACE_SEARCH})) as reader:
        narrow = Client(api.server.url, reader.client_id, reader.client_secret)
        with narrow, pytest.raises(Unauthorized, match="FORBIDDEN"):
            narrow.match(ALICE, ALICE)


def test_the_result_of_a_session_is_verified(own_server: Server) -> None:
    own_server.clock.move(time.time() - own_server.clock.now())
    with calling(own_server) as api, Client(own_server.url, api.client_id, api.client_secret) as client:
        session = client.open_session(ALICE, nonce="order-17", max_attempts=2, purpose="access")
        assert session.capture_url.startswith(f"{own_server.url}/capture/")
        with pytest.raises(NotFound, match="not ended"):
            client.result(session.session_id)
        end(own_server, session.session_id, success())
        jws = client.result(session.session_id)
        result = client.verify_result(jws, session_id=session.session_id, nonce="order-17")
        assert result
        assert (result.match_level, result.error, result.claims["data"]["nonce"]) == (5, None, "order-17")
        assert result.claims["data"]["purpose"] == "access"
        assert client.audit_image(result).startswith(b"\xff\xd8")
        failed = client.open_session(ALICE)
        end(own_server, failed.session_id, failure())
        other = client.verify_result(client.result(failed.session_id), session_id=failed.session_id, nonce=None)
        assert not other
        assert other.error == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
        for session_id, nonce in (
            (failed.session_id, "order-17"),
            (session.session_id, "x"),
            (session.session_id, None),
        ):
            with pytest.raises(NotVerified, match="another session"):
                client.verify_result(jws, session_id=session_id, nonce=nonce)
        header, claims, _ = jws.split(".")
        for forged in (f"{header}.{claims}.{api.token().split('.')[2]}", f"{header}.{claims}", api.token(), "x"):
            with pytest.raises(NotVerified):
                client.verify_result(forged, session_id=session.session_id, nonce="order-17")
        client.purge(session.session_id)
        with pytest.raises(NotFound):
            client.result(session.session_id)
        with pytest.raises(NotFound):
            client.audit_image(result)
        elsewhere = Client(own_server.url, api.client_id, api.client_secret, issuer="https://other.example")
        with elsewhere, pytest.raises(NotVerified):
            elsewhere.verify_result(jws, session_id=session.session_id, nonce="order-17")


def test_other_bytes_are_no_audit_image(own_server: Server) -> None:
    own_server.clock.move(time.time() - own_server.clock.now())
    with calling(own_server) as api, Client(own_server.url, api.client_id, api.client_secret) as client:
        session = client.open_session(ALICE)
        end(own_server, session.session_id, success())
        jws = client.result(session.session_id)
        result = client.verify_result(jws, session_id=session.session_id, nonce=None)
        with pytest.raises(NotVerified, match="image"):
            client.audit_image(replace(result, audit_trail_image_id_checksum="sha256:0"))


def test_a_token_is_used_again_and_renewed_when_the_server_refuses_it(own_server: Server) -> None:
    with calling(own_server) as api:
        wire = Disturbed(MATCH, [])
        with disturbed(api, wire) as client:
            assert client.match(ALICE, ALICE)
            assert client.match(ALICE, ALICE)
            assert [request.url.path for request in wire.seen] == [TOKEN, MATCH, MATCH]
            own_server.clock.move(2000)
            assert client.match(ALICE, ALICE)
            assert [request.url.path for request in wire.seen][3:] == [MATCH, TOKEN, MATCH]


def test_a_token_is_renewed_before_its_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Disturbed(MATCH, [])
    with disturbed(api, wire) as client:
        client.match(ALICE, ALICE)
        later = time.monotonic() + 1741
        monkeypatch.setattr("likeness_client.conversation.time.monotonic", lambda: later)
        client.match(ALICE, ALICE)
    assert [request.url.path for request in wire.seen] == [TOKEN, MATCH, TOKEN, MATCH]


@pytest.mark.parametrize("path", [TOKEN, MATCH])
@pytest.mark.parametrize("fault", [429, 503, 502, httpx.ConnectError, httpx.ReadTimeout])
def test_a_call_is_repeated_after_a_pause(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, fault: int | type[httpx.TransportError]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("likeness_client.client.time.sleep", pauses.append)
    wire = Disturbed(path, [fault, fault], retry_after="7")
    with disturbed(api, wire) as client:
        assert client.match(ALICE, ALICE)
    assert len(list(wire.calls)) == 3
    if isinstance(fault, int):
        assert pauses == [7, 7]
    else:
        assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1


def test_it_gives_up_in_the_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("likeness_client.client.time.sleep", pauses.append)
    wire = Disturbed(MATCH, [503] * 9, retry_after=None)
    with disturbed(api, wire) as client, pytest.raises(Busy, match="SIMULATED"):
        client.match(ALICE, ALICE)
    assert (len(list(wire.calls)), len(pauses)) == (4, 3)
    wire = Disturbed(MATCH, [httpx.ConnectError] * 9)
    with disturbed(api, wire, repeats=0) as client, pytest.raises(NoAnswer):
        client.match(ALICE, ALICE)
    wire = Disturbed(MATCH, [429], retry_after="31")
    with disturbed(api, wire) as client, pytest.raises(Busy):
        client.match(ALICE, ALICE)
    assert len(pauses) == 3


def test_a_lost_answer_changes_nothing_twice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness_client.client.time.sleep", lambda _: None)
    wire = Disturbed(INSERT, [httpx.ReadError, httpx.ReadError], after=True)
    with disturbed(api, wire) as client:
        entry_id = client.insert(ALICE)
        assert [each.one_to_n_verification_id for each in client.entries()] == [entry_id]
    assert len({request.headers["idempotency-key"] for request in wire.calls}) == 1
    wire = Disturbed(f"/api/v1/face/one-to-n/{entry_id}", [httpx.ReadError], after=True)
    with disturbed(api, wire) as client:
        client.erase(entry_id)
        assert list(client.entries()) == []
        with pytest.raises(NotFound):
            client.erase(entry_id)
    attempts: dict[str, Callable[[Client], object]] = {
        SESSION: lambda client: client.open_session(ALICE),
        SEARCH: lambda client: client.search(ALICE, insert=True),
    }
    for path, attempt in attempts.items():
        wire = Disturbed(path, [httpx.ReadError], after=True)
        with disturbed(api, wire) as client, pytest.raises(NoAnswer):
            attempt(client)
        assert len(list(wire.calls)) == 1


def test_an_answer_of_something_else_is_named(api: Api) -> None:
    html = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>a captive portal</html>"))
    with httpx.Client(transport=html) as http, pytest.raises(NoAnswer, match="no answer of Likeness"):
        Client(api.server.url, api.client_id, api.client_secret, http=http).match(ALICE, ALICE)
    teapot = httpx.MockTransport(lambda _: httpx.Response(418, text="<html>"))
    with httpx.Client(transport=teapot) as http, pytest.raises(ApiError, match="UNEXPECTED_ERROR: HTTP 418"):
        Client(api.server.url, api.client_id, api.client_secret, http=http).match(ALICE, ALICE)


def test_a_delivery_is_verified() -> None:
    body, now = b'{"jwsResult": "a.b.c"}', time.time()
    headers = {"likeness-SIGNATURE": sign_body("whsec_x", body, now=now)}
    assert verify_webhook(body, headers, "whsec_x") == "a.b.c"
    others: list[Callable[[], str]] = [
        lambda: verify_webhook(body + b" ", headers, "whsec_x"),
        lambda: verify_webhook(body, headers, "whsec_y"),
        lambda: verify_webhook(body, headers, "whsec_x", now=now + 302),
        lambda: verify_webhook(body, {}, "whsec_x"),
        lambda: verify_webhook(b"[]", {"Likeness-Signature": sign_body("whsec_x", b"[]", now=now)}, "whsec_x"),
    ]
    for other in others:
        with pytest.raises(NotVerified):
            other()


def test_the_async_client_makes_every_call(own_server: Server) -> None:
    own_server.clock.move(time.time() - own_server.clock.now())

    async def work(api: Api) -> None:
        async with AsyncClient(own_server.url, api.client_id, api.client_secret) as client:
            compared = await asyncio.gather(*(client.match(ALICE, person) for person in (ALICE, BOB)))
            assert [each.match for each in compared] == [True, False]
            entry_id = await client.insert(ALICE, external_id="1")
            assert (await client.search(ALICE)).one_to_n_verification_id == entry_id
            assert [each.external_id async for each in client.entries()] == ["1"]
            await client.delete_image(entry_id)
            assert not (await client.entry(entry_id)).image_stored
            await client.erase(entry_id)
            session = await client.open_session(ALICE, nonce="n")
            await asyncio.to_thread(end, own_server, session.session_id, success())
            jws = await client.result(session.session_id)
            result = await client.verify_result(jws, session_id=session.session_id, nonce="n")
            assert result.match
            assert await client.audit_image(result)
            await client.purge(session.session_id)
            with pytest.raises(NotFound):
                await client.result(session.session_id)

    async def fail(api: Api) -> None:
        async with AsyncClient("http://127.0.0.1:1", api.client_id, api.client_secret, repeats=1) as client:
            with pytest.raises(NoAnswer):
                await client.match(ALICE, ALICE)

    with calling(own_server) as api:
        asyncio.run(work(api))
        asyncio.run(fail(api))


def test_the_start_page_is_true(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_server.clock.move(time.time() - own_server.clock.now())
    monkeypatch.chdir(tmp_path)
    for name in ("id.jpg", "selfie.jpg"):
        Path(name).write_bytes(ALICE)
    (example,) = re.findall(r"```python\n(.*?)```", START, re.DOTALL)
    with calling(own_server) as api:
        names = {"CLIENT_ID": api.client_id, "CLIENT_SECRET": api.client_secret}
        exec(example.replace("http://127.0.0.1:8000", own_server.url), names)  # noqa: S102  it is our own
    assert f"```text\n{capsys.readouterr().out}```" in START


def test_the_examples_run(own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_server.clock.move(time.time() - own_server.clock.now())
    monkeypatch.chdir(tmp_path)
    for name in ("id.jpg", "selfie.jpg"):
        Path(name).write_bytes(ALICE)
    first, second, opening, verifying, delivered = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with calling(own_server) as api:
        names: dict[str, Any] = {"CLIENT_ID": api.client_id, "CLIENT_SECRET": api.client_secret, "WEBHOOK_SECRET": "w"}

        def run(source: str) -> None:
            exec(source.replace("https://face.example.com", own_server.url), names)  # noqa: S102  it is our own

        for example in (first, second, opening):
            run(example)
        end(own_server, names["session"].session_id, success())
        run(verifying)
        assert names["compared"].match
        assert names["found"]
        assert names["result"].match
        names["likeness"].close()
        names["body"] = b'{"jwsResult": "x"}'
        names["headers"] = {"Likeness-Signature": sign_body("w", names["body"], now=time.time())}
        run(delivered)
        assert names["jws"] == "x"
