"""The capture socket, with a check whose end the test chooses."""

import contextlib
import json
import re
import time
import uuid
from typing import Any

import cv2
import jwt
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.errors import ServiceUnavailable
from likeness.kit.fairness import Shares
from likeness.sessions.capture import capture
from likeness.sessions.decision import look_up
from likeness.sessions.service import CAPTURE_TYPE, SessionService
from likeness.tenants.schemas import TenantSettings
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
    refuse,
    scripted,
)
from servers import Api, Server, calling, wait_until
from session_endings import verified


def test_a_live_person_ends_in_a_match(caller: Api, checks: Checks) -> None:
    session = open_session(caller, nonce="n", redirectUrl="https://shop.example/back?a=1")
    with ready_browser(caller, session) as browser:
        assert browser.ready["sessionId"] == session.id
        assert browser.ready["mode"] == "active"
        assert browser.ready["attemptsLeft"] == 3
        assert browser.ready["frame"]["longSide"] == 640
        end = browser.attempt(PERSON_FRAME)
    assert (end["type"], end["code"], end["redirectUrl"]) == ("end", None, "https://shop.example/back?a=1")
    assert_is_copy(caller, session.id, end["jws"])
    face = face_of(caller, session)
    assert (face["match"], face["matchLevel"], face["error"], face["failedAttempts"]) == (True, 5, None, [])
    assert face["liveness"]["live"] is True
    assert [signal["name"] for signal in face["liveness"]["signals"]] == ["challenge"]
    image = caller.call("GET", f"/api/v1/info/img/{face['auditTrailImageId']}")
    match = caller.match(fake_photo(1), image.content)
    assert match.json()["matchLevel"] == 5


@pytest.mark.parametrize("wanted", [False, True])
def test_the_browser_learns_no_liveness_signals_unless_the_tenant_wants_it(
    own_server: Server, checks: Checks, wanted: bool
) -> None:
    with calling(own_server, settings=TenantSettings(liveness_in_browser=wanted)) as api:
        for frame in (PERSON_FRAME, ATTACK_FRAME):
            session = open_session(api, maxAttempts=1, returnDataForIncompleteSession=True)
            with ready_browser(api, session) as browser:
                device, end = browser.ready["device"], browser.attempt(frame)
            with browsing(api, session, hello={"device": device}) as browser:
                again = browser.hear_of("end")
            full = face_of(api, session)["liveness"]
            assert full["signals"][0].keys() >= {"score", "threshold"}
            for jws in (end["jws"], again["jws"]):
                shown = verified(api, jws)["data"]["face"]["liveness"]
                assert shown == (full if wanted else full | {"signals": []})


def test_the_check_is_given_what_the_browser_sent(caller: Api, checks: Checks) -> None:
    with ready_browser(caller, open_session(caller)) as browser:
        browser.start(flash=False, camera="Snap Camera")
        browser.send_frame(PERSON_FRAME, t=1500.0, flash=2)
        browser.hear_of("instruct")
        browser.send_frame(STRANGER_FRAME)
        browser.hear_of("instruct")
    (check,) = checks.made
    assert (check.flash, check.camera, check.mode) == (False, "Snap Camera", "active")
    first, second = check.frames
    assert (first.client_at_seconds, first.flash_index) == (1.5, 2)
    assert first.received_at_seconds < second.received_at_seconds
    assert first.data != second.data


def test_a_stranger_is_no_match_and_attempts_are_counted(caller: Api, checks: Checks) -> None:
    session = open_session(caller, maxAttempts=2)
    with ready_browser(caller, session) as browser:
        failed = browser.attempt(STRANGER_FRAME)
        assert failed == {"type": "attempt", "statusCode": "FACE_NO_MATCH", "attemptsLeft": 1}
        end = browser.attempt(STRANGER_FRAME)
    assert end["code"] == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
    assert (end["statusCode"], end["jws"]) == ("FACE_NO_MATCH", None)
    face = face_of(caller, session)
    assert (face["match"], face["matchLevel"], face["auditTrailImageId"]) == (False, 0, None)
    assert face["error"] == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
    assert face["failedAttempts"] == ["FACE_NO_MATCH"] * 2


def test_an_attack_is_no_match_and_says_nothing_of_its_likeness(caller: Api, checks: Checks) -> None:
    session = open_session(caller, maxAttempts=1, returnDataForIncompleteSession=True)
    with ready_browser(caller, session) as browser:
        end = browser.attempt(ATTACK_FRAME)
    assert end["statusCode"] == "FACE_LIVENESS_FAILED"
    assert_is_copy(caller, session.id, end["jws"])
    face = face_of(caller, session)
    assert (face["match"], face["matchLevel"], face["falseMatchRate"]) == (False, 0, 1.0)
    assert face["liveness"]["live"] is False
    assert face["auditTrailImageId"]


@pytest.mark.parametrize(
    ("opened", "asked", "given"),
    [
        (None, None, False),
        (None, False, False),
        (None, True, True),
        (False, True, False),
        (True, None, True),
        (True, False, True),
    ],
)
def test_data_of_an_incomplete_session_as_it_was_opened_else_as_the_browser_asks(
    caller: Api, checks: Checks, opened: bool | None, asked: bool | None, given: bool
) -> None:
    session = open_session(caller, maxAttempts=1, returnDataForIncompleteSession=opened)
    hello = {} if asked is None else {"returnDataForIncompleteSession": asked}
    with ready_browser(caller, session, **hello) as browser:
        device = browser.ready["device"]
        end = browser.attempt(STRANGER_FRAME)
    face = face_of(caller, session)
    assert (face["match"], face["failedAttempts"]) == (False, ["FACE_NO_MATCH"])
    assert (face["auditTrailImageId"] is not None) is given
    assert (end["code"], end["jws"] is not None) == ("SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS", given)
    if given:
        assert_is_copy(caller, session.id, end["jws"])
    again = {"type": "hello", "token": session.token, "device": device, **hello}
    with browsing(caller, session, hello=again) as browser:
        assert browser.hear_of("end")["jws"] == end["jws"]


def test_a_second_attempt_may_succeed(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        assert browser.attempt(ATTACK_FRAME)["attemptsLeft"] == 2
        assert browser.attempt(PERSON_FRAME)["code"] is None
    face = face_of(caller, session)
    assert (face["match"], face["failedAttempts"]) == (True, ["FACE_LIVENESS_FAILED"])


@pytest.mark.parametrize("asked", [1, 3])
def test_a_browser_can_tighten_and_not_loosen(caller: Api, checks: Checks, asked: int) -> None:
    session = open_session(caller, maxAttempts=2)
    with ready_browser(caller, session, maxAttempts=asked) as browser:
        assert browser.ready["attemptsLeft"] == min(asked, 2)


@pytest.mark.parametrize(("asked", "match"), [(5, False), (1, True), (None, True)])
def test_the_level_can_only_be_raised(caller: Api, checks: Checks, asked: int | None, match: bool) -> None:
    session = open_session(caller, minimumMatchLevel=3, maxAttempts=1)
    level_four = fake_photo(1, score=0.75)
    with ready_browser(caller, session, minimumMatchLevel=asked) as browser:
        browser.attempt(level_four)
    face = face_of(caller, session)
    assert (face["match"], face["matchLevel"]) == (match, 4)


def test_cancel(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
        browser.say(type="cancel")
        assert browser.hear_of("end")["code"] == "USER_CANCEL"
    face = face_of(caller, session)
    assert (face["match"], face["error"], face["liveness"]["live"]) == (False, "USER_CANCEL", False)


def test_a_time_out_is_a_failed_attempt(caller: Api, checks: Checks) -> None:
    checks.times_out = True
    with ready_browser(caller, open_session(caller)) as browser:
        browser.start()
        assert browser.hear_of("instruct")["done"] is True
        assert browser.hear_of("attempt")["statusCode"] == "FACE_TIMEOUT"


def test_the_sessions_time_runs_out_in_front_of_the_camera(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
        caller.server.clock.move(601)
        assert browser.hear_of("end")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    assert face_of(caller, session)["error"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    with browsing(caller, session) as browser:
        assert browser.hear_of("error")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"


def test_a_purge_ends_what_is_under_way(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
        assert caller.call("DELETE", f"/api/v1/info/{session.id}").status_code == 204
        assert browser.hear_of("end")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    assert caller.call("GET", f"/api/v1/info/{session.id}").status_code == 404


def test_another_tenants_purge_touches_nothing(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with calling(caller.server) as other, ready_browser(caller, session) as browser:
        browser.start()
        assert other.call("DELETE", f"/api/v1/info/{session.id}").status_code == 204
        browser.stream(PERSON_FRAME)
        assert browser.hear_of("end")["code"] is None


def test_a_connection_that_was_replaced_cannot_make_room_for_a_second_attempt(caller: Api, checks: Checks) -> None:
    session = open_session(caller, maxAttempts=1)
    under_way = caller.server.components.captures._under_way
    with ready_browser(caller, session, device="d" * 20) as replaced:
        with ready_browser(caller, session, device="d" * 20):
            replaced.hear_of("elsewhere")
        wait_until(lambda: session.id not in under_way)
        with ready_browser(caller, session) as browser:
            browser.start()
            replaced.say(type="take")  # the server no longer reads its messages
            with pytest.raises(ConnectionClosed):
                replaced.hear()
            with browsing(caller, session) as late:
                late.hear_of("elsewhere")
            browser.stream(ATTACK_FRAME)
            assert browser.hear_of("end")["statusCode"] == "FACE_LIVENESS_FAILED"
    assert len(checks.made) == 1


def test_a_copy_of_the_tab_watches(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with (
        ready_browser(caller, session, device="d" * 20) as first,
        ready_browser(caller, session, device="d" * 20) as copy,
    ):
        first.hear_of("elsewhere")
        copy.start()
        hello = {"device": "d" * 20, "watch": True}  # as a browser says after "elsewhere"
        with browsing(caller, session, hello=hello) as again:
            again.hear_of("elsewhere")
            copy.stream(PERSON_FRAME)
            assert copy.hear_of("end") == again.hear_of("end")


def test_a_last_attempt_whose_end_could_not_be_written_down_was_the_last(
    caller: Api, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(caller, maxAttempts=1)
    with monkeypatch.context() as failing, ready_browser(caller, session) as browser:
        failing.setattr(capture, "BUSY_PAUSES", ())
        failing.setattr(SessionService, "end", refuse)
        assert browser.attempt(STRANGER_FRAME)["code"] == "SERVICE_UNAVAILABLE"
    with browsing(caller, session) as browser:
        assert browser.hear_of("end")["code"] == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
    assert face_of(caller, session)["failedAttempts"] == ["FACE_NO_MATCH"]


@pytest.mark.parametrize("busy", ["photos", "gallery", "database"])
def test_a_busy_server_loses_nobody_who_has_passed(
    own_server: Server, checks: Checks, monkeypatch: pytest.MonkeyPatch, busy: str
) -> None:
    refused: list[str] = []

    def refusing_once(work: Any) -> Any:
        async def work_the_second_time(*given: Any, **named: Any) -> Any:
            if not refused:
                refused.append(busy)
                raise ServiceUnavailable("not now")
            return await work(*given, **named)

        return work_the_second_time

    monkeypatch.setattr(capture, "BUSY_PAUSES", (0.01,))
    service = own_server.components.sessions
    with calling(own_server) as api:
        session = open_session(api, oneToN="insert")
        with ready_browser(api, session) as browser, monkeypatch.context() as failing:
            if busy == "photos":
                failing.setattr(service._faces.executor, "run", refuse)
            elif busy == "gallery":
                failing.setattr("likeness.sessions.capture.capture.look_up", refusing_once(look_up))
            else:
                failing.setattr(SessionService, "end", refusing_once(SessionService.end))
            assert browser.attempt(PERSON_FRAME)["code"] is None
        face = face_of(api, session)
        (entry,) = api.call("GET", "/api/v1/face/one-to-n").json()["entries"]
    assert refused == ([] if busy == "photos" else [busy])
    assert (face["oneToNVerificationMatch"], face["oneToNVerificationId"]) == (False, entry["oneToNVerificationId"])


def test_a_browser_that_lost_its_camera_goes_on_with_the_same_attempt(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.start()
        browser.stream(PERSON_FRAME, frames=FRAMES - 1)
        browser.start()
        browser.stream(PERSON_FRAME, frames=1)
        assert browser.hear_of("end")["code"] is None
    assert len(checks.made) == 1


def test_each_absence_has_its_own_grace(caller: Api) -> None:
    session = open_session(caller)
    with scripted(caller.server, grace_seconds=2.0) as checks:
        with ready_browser(caller, session) as browser:
            device = browser.ready["device"]
            browser.start()
        time.sleep(1.4)
        with ready_browser(caller, session, device=device) as browser:
            assert browser.ready["underWay"]
        time.sleep(0.8)  # the first grace is over, the second is not
        with ready_browser(caller, session, device=device) as browser:
            assert browser.ready["underWay"]
            browser.stream(PERSON_FRAME)
            assert browser.hear_of("end")["code"] is None
    assert len(checks.made) == 1


def test_a_session_is_used_once(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        device, end = browser.ready["device"], browser.attempt(PERSON_FRAME)
    with browsing(caller, session) as again:
        assert again.hear_of("error")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    with browsing(caller, session, hello={"device": "x" * 32}) as stranger:
        assert stranger.hear_of("error")["code"] == "SESSION_EXPIRED_OR_NOT_FOUND"
    # The device of the last attempt may have lost the connection just then. So it gets the end again.
    with browsing(caller, session, hello={"device": device}) as same:
        assert same.hear_of("end")["jws"] == end["jws"]


def test_a_lost_connection_is_resumed_in_the_same_attempt(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        device = browser.ready["device"]
        browser.start()
        browser.stream(PERSON_FRAME, frames=FRAMES - 1)
        browser.socket.socket.close()
    with ready_browser(caller, session, device=device) as browser:
        assert (browser.ready["underWay"], browser.ready["credit"]) == (True, 2)
        browser.stream(PERSON_FRAME, frames=1)
        assert browser.hear_of("end")["code"] is None
    assert len(checks.made) == 1


def test_staying_away_is_a_failed_attempt(caller: Api, checks: Checks) -> None:
    session = open_session(caller, maxAttempts=2)
    for left, failed in ((2, None), (1, "FACE_TIMEOUT")):
        with ready_browser(caller, session) as browser:
            assert (browser.ready["attemptsLeft"], browser.ready["failed"]) == (left, failed)
            browser.start()
        time.sleep(0.8)
    wait_until(lambda: caller.call("GET", f"/api/v1/info/{session.id}").status_code == 200)
    face = face_of(caller, session)
    assert face["failedAttempts"] == ["FACE_TIMEOUT"] * 2
    assert face["error"] == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
    wait_until(lambda: caller.server.components.captures._under_way == {})


def test_nobody_slips_into_an_attempt(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as first:
        first.start()
        with browsing(caller, session) as second:
            second.hear_of("elsewhere")
            second.say(type="take")
            second.hear_of("elsewhere")
            second.say(type="start")
            second.say(type="cancel")
            second.send_frame(ATTACK_FRAME)
            first.stream(PERSON_FRAME)
            end = first.hear_of("end")
            # A watcher gets the end too, as a desktop does while a phone is in use.
            assert second.hear_of("end") == end
    assert face_of(caller, session)["match"] is True


def test_a_newer_connection_takes_over_between_attempts(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as desktop:
        with ready_browser(caller, session) as phone:
            desktop.hear_of("elsewhere")
            assert phone.attempt(ATTACK_FRAME)["attemptsLeft"] == 2
            desktop.say(type="take")
            assert desktop.hear_of("ready")["attemptsLeft"] == 2
            phone.hear_of("elsewhere")
        assert desktop.attempt(PERSON_FRAME)["code"] is None


def test_a_watcher_that_reconnects_takes_nothing_over(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as phone, browsing(caller, session, hello={"watch": True}) as desktop:
        desktop.hear_of("elsewhere")
        assert phone.attempt(PERSON_FRAME)["code"] is None
        assert desktop.hear_of("end")["code"] is None


def test_too_many_connections(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as first, ready_browser(caller, session) as second:
        first.hear_of("elsewhere")
        with ready_browser(caller, session), ready_browser(caller, session), ready_browser(caller, session):
            second.hear_of("elsewhere")
            with browsing(caller, session) as late:
                assert late.hear_of("error")["code"] == "FORBIDDEN"


def test_a_full_server_asks_to_wait(caller: Api, checks: Checks) -> None:
    captures = caller.server.components.captures
    with scripted(caller.server, slots=Shares(1)):
        one, two = open_session(caller), open_session(caller)
        with ready_browser(caller, one) as first, ready_browser(caller, two) as second:
            first.start()
            second.say(type="start")
            assert second.hear_of("busy")["retryAfterSeconds"] == 3
            first.stream(PERSON_FRAME)
            first.hear_of("end")
            second.start()
            assert captures.services.slots.free == 0
            second.say(type="cancel")
            second.hear_of("end")
        assert captures.services.slots.free == 1


def test_one_tenant_leaves_another_an_attempt(caller: Api, checks: Checks) -> None:
    with (
        scripted(caller.server, slots=Shares(4)),
        calling(caller.server) as other,
        contextlib.ExitStack() as stack,
    ):
        one, two, three, four = (stack.enter_context(ready_browser(caller, open_session(caller))) for _ in range(4))
        for browser in (one, two, three):
            browser.start()
        four.say(type="start")
        assert four.hear_of("busy")
        with ready_browser(other, open_session(other)) as theirs:
            assert theirs.attempt(PERSON_FRAME)["code"] is None


def test_qr(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with ready_browser(caller, session) as browser:
        browser.say(type="qr")
        qr = browser.hear_of("qr")
        assert len(qr["url"]) < 120  # otherwise the code is too fine for a phone's camera
    ticket = qr["url"].partition("#token=")[2]
    assert qr["url"].startswith(session.url.partition("#")[0])
    with ready_browser(caller, session, token=ticket) as phone:
        assert phone.attempt(PERSON_FRAME)["code"] is None
    with browsing(caller, open_session(caller), hello={"token": ticket}) as other:
        assert other.hear_of("error")["code"] == "UNAUTHORIZED"
    drawn = np.zeros((qr["size"], qr["size"]), np.uint8)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", qr["path"]):
        drawn[int(y), int(x) : int(x) + int(width)] = 1
    picture = cv2.resize((1 - drawn) * 255, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    # OpenCV's other detector misses one code in fifty.
    assert cv2.QRCodeDetectorAruco().detectAndDecode(picture)[0] == qr["url"]


@pytest.mark.parametrize(
    ("fields", "settings", "mode"),
    [
        ({}, {}, "active"),
        ({}, {"liveness_mode": "strict"}, "strict"),
        ({"activeLiveness": True}, {}, "active"),
        ({"activeLiveness": True}, {"liveness_mode": "strict"}, "strict"),
        ({"activeLiveness": True}, {"liveness_mode": "passive"}, "active"),
        ({"activeLiveness": False}, {"liveness_mode": "strict"}, "passive"),
        ({"livenessMode": "strict"}, {}, "strict"),
        ({"livenessMode": "passive", "activeLiveness": True}, {}, "passive"),
    ],
)
def test_the_mode(own_server: Server, fields: dict[str, Any], settings: dict[str, Any], mode: str) -> None:
    tenant = calling(own_server, settings=TenantSettings(**settings))
    with tenant as api, ready_browser(api, open_session(api, **fields)) as browser:
        assert (browser.ready["mode"], browser.ready["flash"]) == (mode, mode != "passive")


@pytest.mark.parametrize(("wanted", "days"), [("none", None), ("search", None), ("insert", 365)])
def test_the_browser_is_told_who_asks_and_how_long_pictures_stay(
    own_server: Server, checks: Checks, wanted: str, days: int | None
) -> None:
    asks = TenantSettings(privacy_name="Bank", privacy_purpose="to open an account", entry_days=365)
    with calling(own_server, settings=asks) as api, ready_browser(api, open_session(api, oneToN=wanted)) as browser:
        assert browser.ready["privacy"] == {
            "name": "Bank",
            "purpose": {"en": "to open an account", "ar": "to open an account"},
            "url": None,
            "pictureMinutes": 30,
            "enrolledDays": days,
        }


def test_the_browser_is_told_of_an_enrolment_without_an_end(own_server: Server, checks: Checks) -> None:
    asks = TenantSettings(privacy_url="https://bank.example/privacy", privacy_purpose_ar="فتح حساب")
    with calling(own_server, settings=asks) as api, ready_browser(api, open_session(api, oneToN="insert")) as browser:
        told = browser.ready["privacy"]
        assert (told["url"], told["enrolledDays"]) == ("https://bank.example/privacy", 0)
        assert told["purpose"] == {"en": None, "ar": "فتح حساب"}
    with calling(own_server) as api, ready_browser(api, open_session(api)) as browser:
        assert browser.ready["privacy"] is None


@pytest.mark.parametrize("wanted", ["search", "insert"])
def test_one_to_n(own_server: Server, checks: Checks, wanted: str) -> None:
    def carry_out() -> dict[str, Any]:
        session = open_session(api, oneToN=wanted, consentReference="consent-7", purpose="opening an account")
        with ready_browser(api, session) as browser:
            assert browser.attempt(PERSON_FRAME)["code"] is None
        return face_of(api, session)

    with calling(own_server) as api:
        first = carry_out()
        assert first["oneToNVerificationMatch"] is False
        assert (first["oneToNVerificationId"] is not None) is (wanted == "insert")
        second = carry_out()
        assert second["oneToNVerificationMatch"] is (wanted == "insert")
        assert second["oneToNVerificationId"] == first["oneToNVerificationId"]
        entries = api.call("GET", "/api/v1/face/one-to-n").json()["entries"]
        kept = [(entry["consentReference"], entry["purpose"]) for entry in entries]
        assert kept == ([("consent-7", "opening an account")] if wanted == "insert" else [])


def test_one_to_n_of_a_session_without_success(caller: Api, checks: Checks) -> None:
    session = open_session(caller, oneToN="insert", maxAttempts=1)
    with ready_browser(caller, session) as browser:
        browser.attempt(STRANGER_FRAME)
    face = face_of(caller, session)
    assert (face["oneToNVerificationId"], face["oneToNVerificationMatch"]) == (None, False)
    entries = caller.call("GET", "/api/v1/face/one-to-n").json()["entries"]
    assert entries == []


def error_after(api: Api, session: Session, *messages: str | bytes) -> dict[str, Any]:
    with ready_browser(api, session) as browser:
        browser.start()
        return error_of(browser, *messages)


def error_of(browser: Browser, *messages: str | bytes) -> dict[str, Any]:
    for message in messages:
        browser.socket.send(message)
    error = browser.hear_of("error")
    with pytest.raises(ConnectionClosed):
        browser.hear()
    return error


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        "{}",
        '{"type": "unknown"}',
        '{"type": "start", "flash": "yes"}',
        json.dumps({"type": "start", "camera": "x" * 201}),
        json.dumps({"type": "start", "camera": "x" * 20_000}),
        b"",
        b"\x00",
        b"\x00\x00",
        b"\xff\xff{}",
        b"\x00\x02{}",
        b"\x00\x02[]" + PERSON_FRAME,
        b"\x00\x10" + b'{"flash": -1   }' + PERSON_FRAME,
        b"\x00\x0a" + b'{"t": NaN}' + PERSON_FRAME,
        b"\x00\x02{}" + b"GIF89a",
        b"\x00\x02{}" + PERSON_FRAME[:200],
        b"\x00\x02{}" + fake_photo(1, format="PNG"),
        b"\x00\x02{}" + fake_photo(1, size=(160, 120)),
        b"\x00\x02{}" + fake_photo(1, size=(1920, 1080)),
        b"\x00\x02{}" + PERSON_FRAME + bytes(512 * 1024 + 1 - len(PERSON_FRAME)),
    ],
    ids=range(21),
)
def test_nonsense_ends_the_connection_and_not_the_server(caller: Api, checks: Checks, message: str | bytes) -> None:
    assert error_after(caller, open_session(caller), message)["code"] == "INVALID_INPUT"


def test_a_message_larger_than_any_frame_is_not_read(caller: Api, checks: Checks) -> None:
    with browsing(caller, open_session(caller)) as browser:
        browser.hear_of("ready")
        with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012  the connection may close before all is sent
            browser.socket.send(b"\x00\x02{}" + PERSON_FRAME + bytes(600_000))
            browser.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ('{"type": "start"}', "INVALID_INPUT"),
        ("{", "INVALID_INPUT"),
        (b"\x00", "UNAUTHORIZED"),
        (json.dumps({"type": "hello", "token": "nonsense"}), "UNAUTHORIZED"),
        (json.dumps({"type": "hello", "token": "x", "device": "\x00"}), "INVALID_INPUT"),
        (json.dumps({"type": "hello", "token": "x", "maxAttempts": 4}), "INVALID_INPUT"),
    ],
)
def test_a_hello_that_is_none(caller: Api, hello: str | bytes, code: str) -> None:
    from websockets.sync.client import connect  # noqa: PLC0415

    with connect(f"{caller.server.url.replace('http', 'ws', 1)}/api/v1/capture/{uuid.uuid4()}") as socket:
        assert error_of(Browser(socket), hello)["code"] == code


def test_tokens_that_open_nothing(caller: Api) -> None:
    session, other = open_session(caller), open_session(caller)
    access_token = caller.token(Scope.FACE_FLOW)
    for token in (other.token, access_token, session.token[:-8] + "AAAAAAAA"):
        with browsing(caller, session, hello={"token": token}) as browser:
            assert browser.hear_of("error")["code"] == "UNAUTHORIZED"


def test_claims_of_a_capture_token_in_another_kind_of_token_open_nothing(caller: Api) -> None:
    session, signer = open_session(caller), caller.server.components.tokens._signer
    claims = jwt.decode(session.token, options={"verify_signature": False})
    for typ, answer in ((CAPTURE_TYPE, "ready"), ("at+jwt", "error"), ("JWT", "error")):
        with browsing(caller, session, hello={"token": signer.sign(claims, typ=typ)}) as browser:
            assert browser.hear_of(answer)


def test_the_capture_token_is_no_access_token(caller: Api) -> None:
    session = open_session(caller)
    headers = {"Authorization": f"Bearer {session.token}"}
    assert caller.call("GET", f"/api/v1/info/{session.id}", headers=headers).status_code == 401


def test_frames_before_the_start_are_let_pass(caller: Api, checks: Checks) -> None:
    with ready_browser(caller, open_session(caller)) as browser:
        browser.send_frame(PERSON_FRAME)
        assert browser.attempt(PERSON_FRAME)["code"] is None
    assert checks.made[0].seen == FRAMES
