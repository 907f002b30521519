"""Sessions with several servers: an attempt lives in one of them, and counts once, whatever its device does.

See ``servers.serving_two`` for what is simulated. A server that dies is one that says
nothing more of its attempt: no process is killed.
"""

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from likeness.kit.ids import new_id
from likeness.sessions.capture import hub
from likeness.sessions.capture.capture import Capture, digest
from likeness.sessions.service import GRACE_SECONDS
from likeness.webhooks.service import Webhooks
from postgres import new_database
from scripted_sessions import (
    ATTACK_FRAME,
    FRAMES,
    PERSON_FRAME,
    STRANGER_FRAME,
    Browser,
    Checks,
    Session,
    assert_is_copy,
    browsing,
    face_of,
    open_session,
    ready_browser,
    scripted,
)
from servers import Api, Server, calling, serving_two, wait_until
from session_endings import sessions, verified
from webhooks.receiver import receiving

USED_UP = "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
DEVICE = "d" * 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres_server_url: str) -> Iterator[list[Server]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hub, "FOLLOW_SECONDS", 0.2)
        folder, url = tmp_path_factory.mktemp("pair"), new_database(postgres_server_url)
        with serving_two(folder, url, webhook_private_addresses=True) as servers:
            yield servers


@dataclasses.dataclass
class Callers:
    """A tenant's client at both servers, whose liveness checks are scripted."""

    one: Api
    two: Api
    checks: list[Checks]

    def move(self, seconds: float) -> None:
        """Move the clocks of both servers."""
        for api in (self.one, self.two):
            api.server.clock.move(seconds)


def at(server: Server, api: Api) -> Api:
    """Give the caller at another server, with its token."""
    return dataclasses.replace(api, server=server, http=httpx.Client(base_url=server.url, timeout=60))


@pytest.fixture
def callers(pair: list[Server]) -> Iterator[Callers]:
    with ExitStack() as stack:
        checks = [stack.enter_context(scripted(server, grace_seconds=0.4)) for server in pair]
        one = stack.enter_context(calling(pair[0]))
        two = at(pair[1], one)
        stack.enter_context(two.http)
        yield Callers(one, two, checks)


def result(api: Api, session: Session) -> dict[str, Any]:
    """Give the claims about the face, once the session has ended."""
    wait_until(lambda: api.call("GET", f"/api/v1/info/{session.id}").status_code == 200)
    return face_of(api, session)


def test_any_server_carries_out_a_session_and_gives_its_result(callers: Callers) -> None:
    session = open_session(callers.one)
    with ready_browser(callers.two, session) as browser:
        end = browser.attempt(PERSON_FRAME)
    assert end["code"] is None
    assert_is_copy(callers.one, session.id, end["jws"])
    for api in (callers.one, callers.two):
        jws = api.call("GET", f"/api/v1/info/{session.id}").text
        assert verified(callers.one, jws)["data"]["face"]["match"] is True
    with browsing(callers.one, session, hello={"device": browser.ready["device"]}) as again:
        assert again.hear_of("end")["jws"] == end["jws"]


def test_a_device_that_comes_back_elsewhere_has_failed_once(callers: Callers) -> None:
    session = open_session(callers.one)
    with ready_browser(callers.one, session, device=DEVICE) as browser:
        browser.start()
        browser.stream(PERSON_FRAME, frames=FRAMES - 1)
        browser.socket.socket.close()
    with ready_browser(callers.two, session, device=DEVICE) as browser:
        ready = browser.ready
        assert (ready["failed"], ready["attemptsLeft"], ready["underWay"]) == ("FACE_TIMEOUT", 2, False)
        captures = callers.one.server.components.captures
        wait_until(lambda: session.id not in captures._under_way)  # the first server has given up waiting, too
        assert browser.attempt(STRANGER_FRAME)["attemptsLeft"] == 1
        assert browser.attempt(PERSON_FRAME)["code"] is None
    assert result(callers.one, session)["failedAttempts"] == ["FACE_TIMEOUT", "FACE_NO_MATCH"]


@pytest.mark.parametrize("frame", [PERSON_FRAME, ATTACK_FRAME], ids=["person", "attack"])
def test_the_server_that_a_device_left_concludes_nothing(
    callers: Callers, frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capture, "differs", lambda *_: False)  # it hears of nothing before it concludes
    session = open_session(callers.one, maxAttempts=2)
    with ready_browser(callers.one, session, device=DEVICE) as left:
        left.start()
        left.stream(frame, frames=FRAMES - 1)
        with ready_browser(callers.two, session, device=DEVICE) as browser:
            assert (browser.ready["failed"], browser.ready["attemptsLeft"]) == ("FACE_TIMEOUT", 1)
            left.stream(frame, frames=1)
            assert left.hear_of("attempt")["attemptsLeft"] == 1
            assert browser.attempt(STRANGER_FRAME)["code"] == USED_UP
    face = result(callers.one, session)
    assert (face["match"], face["failedAttempts"]) == (False, ["FACE_TIMEOUT", "FACE_NO_MATCH"])


def test_no_two_attempts_of_a_session_run_at_once(callers: Callers) -> None:
    session = open_session(callers.one, maxAttempts=1)
    with (
        ready_browser(callers.one, session) as one,
        ready_browser(callers.two, session) as two,
        browsing(callers.two, session, hello={"watch": True}) as desktop,
    ):
        desktop.hear_of("elsewhere")
        one.start()
        two.say(type="start")
        assert two.hear_of("elsewhere")
        two.say(type="take")
        assert two.hear_of("elsewhere")
        two.say(type="cancel")
        one.stream(PERSON_FRAME)
        end = one.hear_of("end")
        heard = [two.hear_of("end"), desktop.hear_of("end")]
    assert end["code"] is None
    claims = [verified(callers.one, each["jws"]) for each in (end, *heard)]
    assert claims[0] == claims[1] == claims[2]
    assert [len(each.made) for each in callers.checks] == [1, 0]


def test_a_last_attempt_that_was_left_ends_the_session_once(callers: Callers) -> None:
    with receiving() as receiver:
        database, clock = callers.two.server.deployment.database, callers.two.server.clock
        Webhooks(database, clock, private_addresses=True).put(callers.one.tenant, receiver.url, {})
        session = open_session(callers.one, maxAttempts=1)
        with ready_browser(callers.one, session, device=DEVICE) as browser:
            browser.start()
        with browsing(callers.two, session, hello={"device": DEVICE}) as browser:
            assert browser.hear_of("end")["code"] == USED_UP
        jws = callers.one.call("GET", f"/api/v1/info/{session.id}").text

        def delivered() -> bool:
            callers.move(1)  # a delivery is due by the clock of the server that sends it
            return bool(receiver.bodies)

        wait_until(delivered)
        captures = callers.one.server.components.captures
        wait_until(lambda: session.id not in captures._under_way)
        assert callers.two.call("GET", f"/api/v1/info/{session.id}").text == jws
        assert verified(callers.one, jws)["data"]["face"]["failedAttempts"] == ["FACE_TIMEOUT"]
        assert len({headers["Likeness-Delivery"] for headers in receiver.headers}) == 1


def begin_as_a_server_that_dies(api: Api, session: Session) -> None:
    """Begin an attempt that no server goes on with."""
    asyncio.run(sessions(api.server).begin_attempt(session.id, new_id(), device_digest=digest(DEVICE)))


def test_an_attempt_of_a_server_that_died_fails_when_its_device_comes_back(callers: Callers) -> None:
    session = open_session(callers.one)
    begin_as_a_server_that_dies(callers.one, session)
    with ready_browser(callers.two, session, device=DEVICE) as browser:
        assert (browser.ready["failed"], browser.ready["attemptsLeft"]) == ("FACE_TIMEOUT", 2)
        assert browser.attempt(PERSON_FRAME)["code"] is None
    assert result(callers.one, session)["failedAttempts"] == ["FACE_TIMEOUT"]


def test_an_attempt_of_a_server_that_died_gives_way_after_the_grace(callers: Callers) -> None:
    session = open_session(callers.one)
    begin_as_a_server_that_dies(callers.one, session)
    with browsing(callers.two, session) as other:
        other.hear_of("elsewhere")
        callers.move(GRACE_SECONDS + 1)
        other.say(type="take")
        ready = other.hear_of("ready")
        assert (ready["failed"], ready["attemptsLeft"]) == ("FACE_TIMEOUT", 2)
        assert other.attempt(PERSON_FRAME)["code"] is None
    assert result(callers.one, session)["failedAttempts"] == ["FACE_TIMEOUT"]


def test_an_attempt_in_progress_does_not_give_way(callers: Callers) -> None:
    session = open_session(callers.one)
    with ready_browser(callers.one, session) as browser, browsing(callers.two, session) as other:
        if other.hear()["type"] == "ready":  # nobody has begun
            browser.start()
        for _ in range(3):
            callers.move(GRACE_SECONDS / 2)
            until = stored_until(callers.one, session)
            wait_until(lambda until=until: stored_until(callers.one, session) > until)  # type: ignore[misc]
            other.say(type="take")
            other.hear_of("elsewhere")
        browser.stream(PERSON_FRAME)
        assert browser.hear_of("end")["code"] is None


def stored_until(api: Api, session: Session) -> float:
    row = asyncio.run(sessions(api.server).look(session.id))
    assert row
    return row.attempt_until or 0.0


@pytest.mark.parametrize("begun", [True, False])
def test_a_purge_at_another_server_ends_what_is_under_way(callers: Callers, begun: bool) -> None:
    session = open_session(callers.one)
    with ready_browser(callers.one, session) as browser:
        if begun:
            browser.start()
        assert callers.two.call("DELETE", f"/api/v1/info/{session.id}").status_code == 204
        assert browser.hear_of("end")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    assert callers.one.call("GET", f"/api/v1/info/{session.id}").status_code == 404


def test_a_cancellation_is_heard_of_at_the_other_server(callers: Callers) -> None:
    session = open_session(callers.one)
    with ready_browser(callers.one, session) as one, ready_browser(callers.two, session) as two:
        one.say(type="cancel")
        assert one.hear_of("end")["code"] == two.hear_of("end")["code"] == "USER_CANCEL"


def test_an_attempt_that_a_stop_interrupts_does_not_count(tmp_path: Path, postgres_url: str) -> None:
    with serving_two(tmp_path, postgres_url) as (one, two), calling(one) as api, scripted(one), scripted(two):
        session = open_session(api)
        with ready_browser(api, session, device=DEVICE) as browser:
            browser.start()
            one.app.state.server.should_exit = True
            closed(browser)
        with ready_browser(at(two, api), session, device=DEVICE) as browser:
            assert (browser.ready["failed"], browser.ready["attemptsLeft"]) == (None, 3)
            assert browser.attempt(PERSON_FRAME)["code"] is None


def closed(browser: Browser) -> None:
    """Wait until the server has closed the connection."""
    with pytest.raises(Exception, match="received 1012"):
        browser.hear()
