"""``faceSession()`` and ``<face-session>`` in somebody else's page, from another origin."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.album import Album
from scripted_sessions import ATTACK_FRAME, PERSON_FRAME, Checks, Session, assert_is_copy, open_session, scripted
from servers import Api, Server, calling

CAMERA = (Path(__file__).parent / "still_camera.js").read_text()
SHOP = "http://shop.localhost:{port}/"
PAGE = "<!doctype html><title>A shop</title><h1>A shop</h1>"


@pytest.fixture
def checks(own_server: Server) -> Iterator[Checks]:
    with scripted(own_server) as made:
        yield made


@pytest.fixture
def api(own_server: Server) -> Iterator[Api]:
    with calling(own_server) as caller:
        yield caller


@pytest.fixture
def shop(context: BrowserContext, api: Api) -> Page:
    """Give a page of another origin that has loaded the module from the server."""
    given = {"jpeg": base64.b64encode(PERSON_FRAME).decode(), "label": "Camera"}
    context.add_init_script(f"({CAMERA})({json.dumps(given)});")
    return visit(context, api)


def visit(context: BrowserContext, api: Api) -> Page:
    address = SHOP.format(port=api.server.url.rpartition(":")[2])
    context.route(f"{address}**", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page = context.new_page()
    page.goto(address)
    page.evaluate(
        f"import('{api.server.url}/static/face-session/index.js').then((module) => (window.likeness = module))"
    )
    return page


def begin(page: Page, options: dict[str, Any]) -> None:
    """Call ``faceSession`` and keep whatever it says."""
    page.evaluate(
        """(options) => {
            window.said = [];
            window.outcome = null;
            const hear = (name) => (value) => said.push([name, value]);
            const callbacks = {};
            for (const name of ["onSuccess", "onError", "onTrace", "onFinally"]) callbacks[name] = hear(name);
            likeness.faceSession({ ...options, ...callbacks }).then(
                (jws) => (window.outcome = { jws }),
                (fault) => (window.outcome = { code: fault.code, data: fault.data, name: fault.name }),
            );
        }""",
        options,
    )


def outcome(page: Page) -> dict[str, Any]:
    page.wait_for_function("window.outcome !== null && window.said.some(([name]) => name === 'onFinally')")
    return dict(page.evaluate("window.outcome"))


def said(page: Page, name: str) -> list[Any]:
    return [value for kind, value in page.evaluate("window.said") if kind == name]


def test_success(shop: Page, api: Api, checks: Checks, album: Album) -> None:
    session = open_session(api)
    begin(shop, {"sessionId": session.id, "captureUrl": session.url})
    shop.wait_for_selector("[data-action=start]")
    album.add(shop, "dialog")
    shop.click("[data-action=start]")
    jws = outcome(shop)["jws"]
    assert_is_copy(api, session.id, jws)
    assert said(shop, "onSuccess") == [jws]
    assert said(shop, "onError") == []
    assert len(said(shop, "onFinally")) == 1
    traces = said(shop, "onTrace")
    assert [trace["event"] for trace in traces if trace["event"] != "IN_PROGRESS"] == [
        "INIT",
        "VIEW",
        "START",
        "COMPLETE",
        "FINISH",
    ]
    for trace in traces:
        assert trace["sessionId"] == session.id
        assert (trace["category"], trace["page"], trace["status"]) == ("FACE_SESSION", "FACE", "SUCCESS")
        assert trace["timestamp"].endswith("Z")
    assert "FACE_LIVENESS_HOLD_STILL" in [trace["statusCode"] for trace in traces]
    shop.wait_for_function("document.querySelector('dialog') === null")


@pytest.mark.parametrize(("opened", "asked", "given"), [(True, False, True), (None, True, True), (False, True, False)])
def test_a_session_without_success(
    context: BrowserContext, api: Api, checks: Checks, opened: bool | None, asked: bool, given: bool
) -> None:
    """The result is given as the session was opened, else as the browser asks."""
    camera = {"jpeg": base64.b64encode(ATTACK_FRAME).decode(), "label": "Camera"}
    context.add_init_script(f"({CAMERA})({json.dumps(camera)});")
    page = visit(context, api)
    session = open_session(api, **({} if opened is None else {"returnDataForIncompleteSession": opened}))
    begin(page, {"captureUrl": session.url, "maxAttempts": 1, "returnDataForIncompleteSession": asked})
    page.click("[data-action=start]")
    ended = outcome(page)
    assert ended["code"] == "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS"
    assert (ended["data"] is not None) is given
    if given:
        assert_is_copy(api, session.id, ended["data"])
    (fault,) = said(page, "onError")
    assert (fault["code"], fault["data"]) == (ended["code"], ended["data"])
    failed = [trace for trace in said(page, "onTrace") if trace["event"] == "COMPLETE"]
    assert (failed[0]["status"], failed[0]["statusCode"]) == ("FAILURE", "FACE_LIVENESS_FAILED")
    failures = [trace["status"] for trace in said(page, "onTrace") if trace["statusCode"] == "FACE_LIVENESS_FAILED"]
    assert set(failures) == {"FAILURE"}
    page.click("[data-action=close]")  # stays until it was read
    page.wait_for_function("document.querySelector('dialog') === null")


@pytest.mark.parametrize("way", ["button", "escape"])
def test_cancel(shop: Page, api: Api, checks: Checks, way: str) -> None:
    session = open_session(api)
    begin(shop, {"captureUrl": session.url})
    shop.wait_for_selector("[data-action=cancel]")
    if way == "button":
        shop.click("[data-action=cancel]")
    else:
        shop.keyboard.press("Escape")
    shop.click("[data-action=cancelNow]")
    assert outcome(shop) == {"code": "USER_CANCEL", "data": None, "name": "FaceSessionError"}
    assert [trace["event"] for trace in said(shop, "onTrace")][-2:] == ["SKIP", "FINISH"]


def test_no_camera(context: BrowserContext, api: Api, checks: Checks) -> None:
    page = visit(context, api)
    begin(page, {"captureUrl": open_session(api).url})
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=camera]")
    # The integrator hears of it at once; the person may still mend it or take a phone.
    assert [trace["statusCode"] for trace in said(page, "onTrace")][-1] == "MEDIA_NOT_FOUND_ERROR"
    page.click("[data-action=leave]")
    assert outcome(page)["code"] == "MEDIA_NOT_FOUND_ERROR"


def test_a_frame_that_may_not_use_the_camera_leads_out_of_it(
    context: BrowserContext, api: Api, checks: Checks, faults: list[str]
) -> None:
    page = visit(context, api)
    session = open_session(api)
    address = page.url.replace("shop.", "kyc.")
    context.route(f"{address}**", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.evaluate("(src) => document.body.append(Object.assign(document.createElement('iframe'), { src }))", address)
    frame = page.frame_locator("iframe")
    frame.locator("h1").wait_for()
    frame.locator("body").evaluate(
        f"(_, captureUrl) => import('{api.server.url}/static/face-session/index.js')"
        ".then((module) => void module.faceSession({ captureUrl }))",
        session.url,
    )
    frame.locator("[data-action=start]").click()
    expect(frame.locator(".lead")).to_contain_text("a tab of its own")
    with context.expect_page() as opened:
        frame.locator("[data-action=openTab]").click()
    opened.value.wait_for_selector("[data-action=start]")
    assert opened.value.url == session.url
    assert all("Permissions policy" in fault for fault in faults)
    faults.clear()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NotAllowedError", "MEDIA_NOT_ALLOWED_ERROR"),
        ("NotFoundError", "MEDIA_NOT_FOUND_ERROR"),
        ("OverconstrainedError", "MEDIA_NOT_FOUND_ERROR"),
        ("SecurityError", "MEDIA_SECURITY_ERROR"),
        ("NotReadableError", "MEDIA_UNKNOWN_ERROR"),
        ("AbortError", "MEDIA_UNKNOWN_ERROR"),
    ],
)
def test_every_camera_fault_has_its_code(shop: Page, api: Api, checks: Checks, name: str, code: str) -> None:
    shop.evaluate(
        "(name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('x', name)); }", name
    )
    begin(shop, {"captureUrl": open_session(api).url})
    shop.click("[data-action=start]")
    shop.click("[data-action=leave]")
    assert outcome(shop)["code"] == code


@pytest.mark.parametrize(
    "change",
    [
        {"sessionId": "nonsense"},
        {"captureUrl": None},
        {"captureUrl": "nonsense"},
        {"server": "nonsense"},
        {"texts": "nonsense"},
    ],
)
def test_invalid_options(shop: Page, api: Api, change: dict[str, Any]) -> None:
    session = open_session(api)
    begin(shop, {"sessionId": session.id, "captureUrl": session.url} | change)
    assert outcome(shop)["code"] == "INVALID_CONFIG"
    assert [fault["code"] for fault in said(shop, "onError")] == ["INVALID_CONFIG"]


@pytest.mark.parametrize("value", [-1, "3"])
def test_a_number_out_of_its_range_is_passed_over(shop: Page, api: Api, checks: Checks, value: object) -> None:
    begin(shop, {"captureUrl": open_session(api).url, "maxAttempts": value, "minimumMatchLevel": value})
    shop.click("[data-action=start]")
    assert "jws" in outcome(shop)


def test_a_client_needs_no_more_than_the_sessions_id(shop: Page, api: Api, checks: Checks) -> None:
    session = open_session(api)
    shop.evaluate(
        """([id, url]) => {
            window.asked = [];
            const getCaptureUrl = async (sessionId) => (asked.push(sessionId), url);
            const client = likeness.default.create({ accessToken: "goes nowhere", getCaptureUrl });
            client.faceSession({ sessionId: id, maxAttempts: 3, onSuccess: (jws) => (window.given = jws) });
        }""",
        [session.id, session.url],
    )
    shop.click("[data-action=start]")
    shop.wait_for_function("window.given")
    assert shop.evaluate("window.asked") == [session.id]
    assert_is_copy(api, session.id, shop.evaluate("window.given"))


def test_a_backend_that_gives_no_address_is_reported(shop: Page, api: Api) -> None:
    shop.evaluate(
        """(sessionId) => {
            const getCaptureUrl = () => Promise.reject(new Error("503"));
            likeness.create({ getCaptureUrl }).faceSession({ sessionId }).catch((fault) => (window.fault = [fault.code, fault.message]));
        }""",
        open_session(api).id,
    )
    shop.wait_for_function("window.fault")
    assert shop.evaluate("window.fault") == ["UNEXPECTED_ERROR", "getCaptureUrl failed: Error: 503"]
    shop.click("[data-action=close]")
    shop.wait_for_function("document.querySelector('dialog') === null")


@pytest.mark.parametrize(("token", "code"), [("nonsense", "UNAUTHORIZED"), (None, "SESSION_EXPIRED_OR_NOT_FOUND")])
def test_sessions_that_do_not_open(shop: Page, api: Api, token: str | None, code: str) -> None:
    session = open_session(api)
    if token is None:
        api.call("DELETE", f"/api/v1/info/{session.id}")
    begin(shop, {"sessionId": session.id, "token": token or session.token, "server": api.server.url})
    assert outcome(shop)["code"] == code


def test_the_element_with_texts_and_colours(shop: Page, api: Api, checks: Checks, album: Album) -> None:
    session: Session = open_session(api)
    shop.evaluate(
        """(url) => {
            const element = document.createElement("face-session");
            element.setAttribute("capture-url", url);
            element.options = {
                texts: { introTitle: "Say hello" },
                assets: { colours: { accent: "#7a1fa2", corner: "4px" } },
            };
            element.style.height = "720px";
            window.events = [];
            for (const name of ["success", "error", "finally"]) {
                element.addEventListener(name, (event) => events.push([name, event.detail]));
            }
            document.body.append(element);
        }""",
        session.url,
    )
    shop.wait_for_selector("h1 >> text=Say hello")
    album.add(shop, "element")
    button = shop.locator("[data-action=start]")
    assert button.evaluate("(button) => getComputedStyle(button).backgroundColor") == "rgb(122, 31, 162)"
    button.click()
    shop.wait_for_function("window.events.length === 2")
    (first, detail), (last, _) = shop.evaluate("window.events")
    assert (first, last) == ("success", "finally")
    assert_is_copy(api, session.id, detail["jws"])
