"""Sessions with faults: the database loses an answer, the browser sends no frames, the gallery refuses.

Each attempt still counts once, and each session ends once and is forgotten.
"""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from likeness.engine.fake import fake_photo
from likeness.errors import NoFace, ServiceUnavailable
from likeness.kit.ids import new_id
from likeness.sessions import repository
from likeness.sessions.capture import capture
from likeness.store.database import Database
from likeness.store.tables import face_sessions
from likeness.tenants.schemas import TenantSettings
from scripted_sessions import (
    ATTACK_FRAME,
    PERSON_FRAME,
    Checks,
    browsing,
    face_of,
    open_session,
    ready_browser,
    refuse,
)
from servers import Api, Server, calling, wait_until


def lose_one_answer(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Make a method change the database and then raise 503 once, as if the connection was lost during the commit."""
    write: Callable[..., Awaitable[Any]] = Database.write
    lost: list[str] = []

    async def losing(database: Database, work: Callable[..., Any], **named: Any) -> Any:
        result = await write(database, work, **named)
        if name in work.__qualname__ and not lost:
            lost.append(name)
            raise ServiceUnavailable("the change may have been made")
        return result

    monkeypatch.setattr(Database, "write", losing)
    return lost


def test_a_failed_attempt_is_counted_once(caller: Api, checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(caller)
    lost = lose_one_answer(monkeypatch, "fail_attempt")
    with ready_browser(caller, session) as browser:
        assert browser.attempt(ATTACK_FRAME)["attemptsLeft"] == 2
        assert browser.attempt(ATTACK_FRAME)["attemptsLeft"] == 1
    assert lost


def test_the_browser_gets_the_end_that_is_kept(caller: Api, checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(caller)
    lost = lose_one_answer(monkeypatch, "SessionService.end")
    with ready_browser(caller, session) as browser:
        answer = browser.attempt(PERSON_FRAME)
    assert lost
    assert answer["code"] is None
    assert answer["jws"]
    assert face_of(caller, session)["match"] is True


def test_a_gallery_that_sees_no_face_costs_an_attempt(
    caller: Api, checks: Checks, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object, **__: object) -> None:
        raise NoFace("The gallery's model finds no face in the photo.")

    monkeypatch.setattr(own_server.components.gallery, "search_face", refuses)
    session = open_session(caller, oneToN="search")
    with ready_browser(caller, session) as browser:
        answer = [browser.attempt(PERSON_FRAME) for _ in range(3)]
    assert [each["type"] for each in answer] == ["attempt", "attempt", "end"]


def test_a_browser_that_only_talks_does_not_stop_the_clock(caller: Api) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            browser.say(type="start")
            if browser.hear()["type"] != "started":
                return
            time.sleep(0.4)
    raise AssertionError("the attempt goes on without a frame")


def test_a_session_purged_while_its_device_is_away_is_forgotten(
    caller: Api, checks: Checks, own_server: Server
) -> None:
    captures = own_server.components.captures
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
    wait_until(lambda: captures._under_way[session.id].holder is None)
    assert caller.call("DELETE", f"/api/v1/info/{session.id}").status_code == 204
    wait_until(lambda: session.id not in captures._under_way)


def test_a_sweep_ends_all_that_is_overdue(caller: Api, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.sessions.service.SWEEP_BATCH", 10)
    service, database = own_server.components.sessions, own_server.deployment.database
    session = open_session(caller)
    row = database.read_now(lambda c: repository.find_session(c, session.id))
    assert row
    past = own_server.clock.now() - 1
    overdue = [dataclasses.replace(row, id=new_id(), expires_at=past) for _ in range(35)]

    def add(connection: Connection) -> None:
        for each in overdue:
            repository.add_session(connection, each)

    database.write_now(add)
    expire, broken = service._expire, {overdue[3].id, overdue[20].id}

    async def expires(due: Any) -> None:
        if due.id in broken:
            raise ValueError("a row that cannot be ended")
        await expire(due)

    monkeypatch.setattr(service, "_expire", expires)
    asyncio.run(service.remove_expired())
    ids = select(face_sessions.c.id).where(face_sessions.c.id.in_([each.id for each in overdue]))
    assert set(database.read_now(lambda c: c.execute(ids).scalars().all())) == broken
    monkeypatch.undo()
    asyncio.run(service.remove_expired())
    count = select(func.count()).select_from(ids.subquery())
    assert database.read_now(lambda c: c.execute(count).scalar_one()) == 0


@pytest.mark.parametrize(
    ("back", "accepted"),
    [
        ("https://shop.example/back", True),
        ("http://localhost:8000/", True),
        ("http://app.localhost/", True),
        ("http://127.0.0.1:8000/", True),
        ("http://[::1]:8000/", True),
        ("http://shop.example/back", False),
        ("http://localhost.shop.example/", False),
        ("https://shop.example@evil.example/", False),
        ("https://user:word@shop.example/", False),
    ],
)
def test_an_address_to_go_back_to_is_encrypted_and_names_no_user(caller: Api, back: str, accepted: bool) -> None:
    reply = caller.open_session(fake_photo(1), redirectUrl=back)
    assert (reply.status_code == 201) == accepted, reply.text
    assert accepted or (reply.status_code, "redirectUrl" in reply.json()["message"]) == (400, True)


def test_a_tenant_may_name_the_hosts_to_go_back_to(server: Server) -> None:
    settings = TenantSettings(redirect_hosts=("Shop.example", "[::1]"))
    with calling(server, settings=settings) as api:
        statuses = {
            back: api.open_session(fake_photo(1), redirectUrl=back).status_code
            for back in (
                "https://shop.example/back?a=1",
                "https://SHOP.example:8443/",
                "http://[::1]/",
                "https://evil.example/",
                "https://a.shop.example/",
                "https://shop.example.evil.example/",
                "http://localhost/",
            )
        }
        assert list(statuses.values()) == [201, 201, 201, 400, 400, 400, 400]
        assert api.open_session(fake_photo(1)).status_code == 201
    with calling(server, settings=TenantSettings(redirect_hosts=())) as api:
        assert api.open_session(fake_photo(1), redirectUrl="https://shop.example/").status_code == 400


def test_an_address_to_go_back_to_has_a_length(caller: Api) -> None:
    back = "https://shop.example/" + "x" * 2000
    assert caller.open_session(fake_photo(1), redirectUrl=back).status_code == 201
    assert caller.open_session(fake_photo(1), redirectUrl=back + "x" * 100).status_code == 400


def test_a_device_that_comes_while_another_begins_watches(
    caller: Api, checks: Checks, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = own_server.components.sessions
    begin, begins, go = service.begin_attempt, threading.Event(), threading.Event()

    async def slow(*arguments: Any, **named: Any) -> Any:
        begins.set()
        await asyncio.to_thread(go.wait, 30)
        return await begin(*arguments, **named)

    monkeypatch.setattr(service, "begin_attempt", slow)
    session = open_session(caller)
    with ready_browser(caller, session) as desktop:
        desktop.say(type="start")
        begins.wait(30)
        with browsing(caller, session) as phone:
            assert phone.hear()["type"] == "elsewhere"
            go.set()
            assert desktop.hear()["type"] == "started"
            desktop.send_frame(PERSON_FRAME)
            assert desktop.hear()["type"] == "instruct"


@pytest.fixture
def enroller(own_server: Server) -> Iterator[Api]:
    """Give a caller of a new tenant with an empty gallery."""
    with calling(own_server) as api:
        yield api


def is_enrolled(api: Api) -> bool:
    return bool(api.search(fake_photo(1, variation=3)).json()["oneToNVerificationMatch"])


def test_an_enrolment_that_was_not_heard_of_is_no_duplicate(
    enroller: Api, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(enroller, oneToN="insert")
    lost = lose_one_answer(monkeypatch, "Enroller.enrol")
    with ready_browser(enroller, session) as browser:
        browser.attempt(PERSON_FRAME)
    assert lost
    face = face_of(enroller, session)
    assert face["oneToNVerificationMatch"] is False
    assert enroller.call("GET", f"/api/v1/face/one-to-n/{face['oneToNVerificationId']}").status_code == 200


def test_an_attempt_after_an_enrolment_whose_end_failed_finds_a_new_person(
    enroller: Api, checks: Checks, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(enroller, oneToN="insert")
    with monkeypatch.context() as patched:
        patched.setattr(capture, "BUSY_PAUSES", (0.05,))
        patched.setattr(own_server.components.sessions, "end", refuse)
        with ready_browser(enroller, session) as browser:
            assert browser.attempt(PERSON_FRAME)["type"] == "error"
    with ready_browser(enroller, session) as browser:
        browser.attempt(PERSON_FRAME)
    face = face_of(enroller, session)
    assert face["oneToNVerificationMatch"] is False
    assert len(enroller.call("GET", "/api/v1/face/one-to-n").json()["entries"]) == 1


@pytest.mark.parametrize("purged", [True, False])
def test_nobody_is_enrolled_by_a_session_that_is_over(
    enroller: Api, checks: Checks, own_server: Server, monkeypatch: pytest.MonkeyPatch, purged: bool
) -> None:
    """The session is purged, or expires, while the gallery is searched for its person."""
    gallery, sessions = own_server.components.gallery, own_server.components.sessions
    session = open_session(enroller, oneToN="insert")
    search = gallery.search_face

    async def meanwhile(*arguments: Any, **named: Any) -> Any:
        if purged:
            await sessions.purge(enroller.tenant, session.id)
        else:
            own_server.clock.seconds += 601
            await sessions.remove_expired()
        return await search(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(gallery, "search_face", meanwhile)
        with ready_browser(enroller, session) as browser:
            answer = browser.attempt(PERSON_FRAME)
    assert answer["code"] in {"SESSION_EXPIRED_OR_NOT_FOUND", "SESSION_EXPIRED"}
    assert not is_enrolled(enroller)
