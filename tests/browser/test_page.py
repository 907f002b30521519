"""The capture page in a real Chromium: what it shows and how each session ends there. The liveness check ends as the test wants."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser.album import Album
from browser.loopback_proxy import Proxy, proxying
from likeness.evaluation.liveness.injection_suite.chromium import FLAGS
from likeness.liveness.base import Hint, StatusCode
from likeness.sessions.attestation.play_integrity import PlayIntegrity
from likeness.sessions.capture import capture
from likeness.sessions.service import SessionService
from likeness.tenants.schemas import TenantSettings
from scripted_sessions import (
    ATTACK_FRAME,
    PERSON_FRAME,
    STRANGER_FRAME,
    Checks,
    Session,
    face_of,
    open_session,
    refuse,
    scripted,
)
from servers import Api, Server, calling, wait_until
from simulated_apps import SimulatedApp

CAMERA = (Path(__file__).parent / "still_camera.js").read_text()


@pytest.fixture
def checks(own_server: Server) -> Iterator[Checks]:
    with scripted(own_server, grace_seconds=5.0) as made:
        yield made


@pytest.fixture
def api(own_server: Server) -> Iterator[Api]:
    with calling(own_server) as caller:
        yield caller


def put_camera(context: BrowserContext, jpeg: bytes = PERSON_FRAME, *, dead: str | None = None) -> None:
    """Put two cameras into the browser; the first is dead in some way: "mute" gives no frame, "still" always the same."""
    given = {"jpeg": base64.b64encode(jpeg).decode(), "label": "Camera", "dead": dead}
    context.add_init_script(f"({CAMERA})({json.dumps(given)});")


def enter(context: BrowserContext, session: Session, *, wait_for: str = "[data-action=start]") -> Page:
    page = context.new_page()
    page.goto(session.url)
    page.wait_for_selector(wait_for)
    return page


def test_success_and_the_way_back(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context)
    context.route("https://shop.example/**", lambda route: route.fulfill(body="welcome back"))
    session = open_session(api, redirectUrl="https://shop.example/back")
    page = enter(context, session)
    album.add(page, "intro")
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=success]")
    album.add(page, "success")
    page.wait_for_url("https://shop.example/back")
    assert face_of(api, session)["match"] is True
    assert checks.made[0].camera == "Camera first"
    assert len({frame.data for frame in checks.made[0].frames}) == len(checks.made[0].frames)


def wordy() -> TenantSettings:
    return TenantSettings(
        privacy_name="<b>Example Bank</b>",
        privacy_purpose="to open an account",
        privacy_purpose_ar="لفتح حساب",
        privacy_url="https://bank.example/privacy",
        entry_days=365,
    )


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_page_says_who_asks_and_why(
    chromium: Browser, own_server: Server, checks: Checks, album: Album, language: str
) -> None:
    told = {"en": ("to open an account", "30 minutes", "365 days"), "ar": ("لفتح حساب", "30", "365")}[language]
    phone = chromium.new_context(viewport={"width": 390, "height": 844}, locale=language)
    with calling(own_server, settings=wordy()) as api, phone:
        page = enter(phone, open_session(api, oneToN="insert"))
        privacy = page.locator(".privacy")
        for text in ("<b>Example Bank</b>", *told):
            expect(privacy).to_contain_text(text)
        link = privacy.locator("a")
        expect(link).to_have_attribute("href", "https://bank.example/privacy")
        expect(link).to_have_attribute("rel", "noopener noreferrer")
        expect(page.locator("[data-action=start]")).to_be_attached()
        album.add(page, language)
    with calling(own_server) as api, chromium.new_context() as context:
        expect(enter(context, open_session(api)).locator(".privacy")).to_have_count(0)


def test_an_app_around_the_page_vouches_for_its_frames(context: BrowserContext, api: Api, own_server: Server) -> None:
    app = SimulatedApp()
    put_camera(context)
    context.expose_function("requestToken", lambda nonce: app.token(nonce, own_server.clock.now()))
    context.add_init_script("window.likenessAttest = (nonce) => window.requestToken(nonce);")
    with scripted(own_server, attestations=PlayIntegrity(app.options)):
        session = open_session(api)
        page = enter(context, session)
        page.click("[data-action=start]")
        page.wait_for_selector("[data-screen=success]")
        stated = face_of(api, session)["liveness"]["attestation"]
    assert (stated["passed"], stated["facts"]["packageName"]) == (True, "com.example.bank")


def test_a_picture_that_is_announced_twice_is_sent_once(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 20
    page = enter(context, open_session(api))
    page.evaluate("() => { HTMLVideoElement.prototype.requestVideoFrameCallback = (call) => setTimeout(call, 1); }")
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=success]")
    digests = [frame.data for frame in checks.made[0].frames]
    assert len(set(digests)) == len(digests) == 20


def test_a_second_use(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context)
    session = open_session(api)
    first = enter(context, session)
    first.click("[data-action=start]")
    first.wait_for_selector("[data-screen=success]")
    second = enter(context, session, wait_for="[data-screen=failure]")
    expect(second.locator(".panel h1")).to_have_text("This face check has ended")
    album.add(second, "second-use")


def test_attempts_are_used_up(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context, STRANGER_FRAME)
    context.route("https://shop.example/**", lambda route: route.fulfill(body="welcome back"))
    session = open_session(api, maxAttempts=2, redirectUrl="https://shop.example/back")
    page = enter(context, session)
    page.click("[data-action=start]")
    page.wait_for_selector("[data-action=retry]")
    expect(page.locator(".note")).to_have_text("Attempts left: 1")
    album.add(page, "no-match")
    page.click("[data-action=retry]")
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=failure] .note >> text=no attempts left")
    expect(page.locator("[data-screen=failure]")).to_contain_text("take you back in a few seconds")
    album.add(page, "used-up")
    page.click("[data-action=goOn]")
    page.wait_for_url("https://shop.example/back")
    face = face_of(api, session)
    assert (face["match"], face["failedAttempts"]) == (False, ["FACE_NO_MATCH"] * 2)


def test_a_liveness_failure_is_reported_in_plain_words(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context, ATTACK_FRAME)
    page = enter(context, open_session(api))
    page.click("[data-action=start]")
    expect(page.locator(".lead")).to_contain_text("living person")


def test_cancel(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context)
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=cancel]")
    album.add(page, "question")
    expect(page.locator("[data-action=keepGoing]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("[data-action=start]")).to_be_visible()
    page.click("[data-action=cancel]")
    page.click("[data-action=cancelNow]")
    page.wait_for_selector("[data-screen=cancelled]")
    album.add(page, "cancelled")
    assert face_of(api, session)["error"] == "USER_CANCEL"


def test_who_only_thought_of_cancelling_goes_on(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 10_000
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    page.click("[data-action=cancel]")
    page.click("[data-action=keepGoing]")
    wait_until(lambda: bool(checks.made))
    checks.made[0].frames_needed = checks.made[0].seen + 10
    page.wait_for_selector("[data-screen=success]")


def test_the_whole_picture_is_seen_until_the_face_is_in_its_place(
    context: BrowserContext, api: Api, checks: Checks, album: Album
) -> None:
    put_camera(context)
    checks.frames_needed = 10_000
    checks.guidance = StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.LEFT
    page = enter(context, open_session(api))
    page.set_viewport_size({"width": 375, "height": 667})
    page.click("[data-action=start]")
    expect(page.locator(".guide")).to_have_text("Move to your left")
    expect(page.locator(".gesture.move.left")).to_be_visible()
    opacity = "Number(getComputedStyle(document.querySelector('face-session').shadowRoot.querySelector('.sheet')).fillOpacity)"
    wait_until(lambda: bool(page.evaluate(opacity) < 0.5))
    album.add(page, "seeking")
    picture = page.locator("video").bounding_box()
    assert picture is not None
    assert picture["x"] >= -1
    assert picture["x"] + picture["width"] <= 376
    checks.made[0].guidance = StatusCode.FACE_INCORRECT_DISTANCE_DETECTED, Hint.CLOSER
    expect(page.locator(".guide")).to_have_text("Move a little closer")
    wait_until(lambda: bool(page.evaluate(opacity) == 1))
    expect(page.locator(".gesture")).not_to_be_visible()


@pytest.mark.parametrize(("dead", "words"), [("mute", "sends no picture"), ("still", "the same picture")])
def test_a_dead_camera_is_reported_and_costs_no_attempt(
    context: BrowserContext, api: Api, checks: Checks, album: Album, dead: str, words: str
) -> None:
    put_camera(context, dead=dead)
    context.clock.install()
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=waiting] [data-action=cancel]")
    expect(page.locator(".panel h1")).to_contain_text("Starting your camera")
    if dead == "still":
        wait_until(lambda: bool(page.evaluate("window.looks > 1")))  # the first picture has been seen, and then again
    page.clock.fast_forward(15_000)
    expect(page.locator(".lead")).to_contain_text(words)
    expect(page.locator("[data-action=leave]")).to_be_visible()
    album.add(page, "told")
    assert checks.made == []
    page.get_by_role("combobox", name="Camera").select_option("second")
    page.wait_for_selector("[data-screen=success]")
    assert face_of(api, session)["failedAttempts"] == []


def test_a_camera_that_stops_on_the_way_may_be_changed(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    context.clock.install()
    checks.frames_needed = 10_000
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=start]")
    wait_until(lambda: bool(checks.made) and checks.made[0].seen > 5)
    page.evaluate("document.querySelector('face-session').shadowRoot.querySelector('video').srcObject = null")

    def told() -> bool:  # a picture that was on its way counts as new once more
        page.clock.fast_forward(8_000)
        time.sleep(0.5)
        return page.locator(".lead", has_text="sends no picture").is_visible()

    wait_until(told)
    checks.made[0].frames_needed = checks.made[0].seen + 10
    page.get_by_role("combobox", name="Camera").select_option("second")
    page.wait_for_selector("[data-screen=success]")
    assert len(checks.made) == 1
    assert face_of(api, session)["failedAttempts"] == []


def test_a_browser_inside_an_app_is_shown_where_to_go(
    chromium: Browser, api: Api, checks: Checks, album: Album
) -> None:
    context = chromium.new_context(
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 350.0",
        viewport={"width": 375, "height": 667},
        locale="en-GB",
    )
    session = open_session(api)
    page = enter(context, session)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
    page.click("[data-action=start]")
    expect(page.locator(".lead")).to_contain_text("built-in browser")
    page.click("[data-action=copyLink]")
    expect(page.locator(".note")).to_have_text("Link copied")
    album.add(page, "told")
    assert page.evaluate("window.copied") == session.url
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    page.click("[data-action=copyLink]")
    expect(page.locator(".note")).to_have_text(session.url)
    context.close()


def test_an_attempt_that_takes_too_long(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context)
    checks.frames_needed = 10_000
    page = enter(context, open_session(api))
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    expect(page.locator(".guide")).to_be_focused()  # not lost with the button that had the focus
    album.add(page, "capture")
    wait_until(lambda: bool(checks.made))
    checks.made[0].times_out = True
    # The camera stands still: no frame comes any more, and the server notices.
    page.evaluate("document.querySelector('face-session').shadowRoot.querySelector('video').pause()")
    page.evaluate("document.querySelector('face-session').shadowRoot.querySelector('video').srcObject = null")
    expect(page.locator(".lead")).to_contain_text("took too long")
    album.add(page, "too-long")


def test_the_sessions_time_runs_out(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    put_camera(context)
    session = open_session(api)
    page = enter(context, session)
    api.server.clock.move(601)
    page.wait_for_selector("[data-screen=failure]")
    expect(page.locator(".panel h1")).to_have_text("This face check has ended")
    album.add(page, "expired")
    assert face_of(api, session)["error"] == "SESSION_EXPIRED_OR_NOT_FOUND"


def test_no_camera_and_a_phone_takes_over(
    context: BrowserContext, chromium: Browser, api: Api, checks: Checks, album: Album
) -> None:
    session = open_session(api)
    desktop = enter(context, session)  # this Chromium has no camera
    desktop.click("[data-action=start]")
    desktop.wait_for_selector("[data-screen=camera]")
    expect(desktop.locator(".lead")).to_contain_text("No camera was found")
    album.add(desktop, "no-camera")
    desktop.click("[data-action=usePhone]")
    desktop.wait_for_selector(".qr")
    album.add(desktop, "qr")
    phone_context = chromium.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, locale="en-GB"
    )
    put_camera(phone_context)
    phone = enter(phone_context, session)
    assert phone.locator("[data-action=usePhone]").count() == 0
    desktop.wait_for_selector("[data-action=useThisDevice]")
    album.add(desktop, "elsewhere")
    album.add(phone, "phone-intro")
    phone.click("[data-action=start]")
    phone.wait_for_selector("[data-screen=success]")
    album.add(phone, "phone-success")
    desktop.wait_for_selector("[data-screen=success]")
    album.add(desktop, "desktop-success")
    phone_context.close()


def test_the_camera_is_denied(chromium: Browser, chromium_path: Path, api: Api, checks: Checks, album: Album) -> None:
    browser = chromium.browser_type.launch(
        executable_path=chromium_path, args=[*FLAGS, "--use-fake-device-for-media-stream"]
    )
    context = browser.new_context(locale="en-GB")
    page = enter(context, open_session(api))
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=camera]")
    expect(page.locator(".lead")).to_contain_text("access is blocked")
    album.add(page, "denied")
    # Allowed after all: it goes on where it was.
    context.grant_permissions(["camera"])
    page.click("[data-action=retry]")
    page.wait_for_selector(".stage:not([hidden])")
    browser.close()


@pytest.fixture
def proxy(own_server: Server) -> Iterator[Proxy]:
    with proxying(own_server.url) as running:
        yield running


def test_a_lost_connection_is_resumed(
    context: BrowserContext, api: Api, checks: Checks, proxy: Proxy, album: Album, faults: list[str]
) -> None:
    put_camera(context)
    checks.frames_needed = 40
    session = open_session(api)
    page = context.new_page()
    page.goto(session.url.replace(api.server.url, proxy.url))
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    wait_until(lambda: bool(checks.made) and checks.made[0].seen > 5)
    proxy.refusing = True
    proxy.cut()
    page.wait_for_selector(".notice:not([hidden])")
    album.add(page, "lost")
    proxy.refusing = False
    page.wait_for_selector("[data-screen=success]")
    album.add(page, "resumed")
    assert len(checks.made) == 1
    assert face_of(api, session)["failedAttempts"] == []
    assert all("WebSocket connection" in fault for fault in faults)
    faults.clear()


def test_a_connection_that_is_lost_as_start_is_pressed(
    context: BrowserContext, api: Api, checks: Checks, proxy: Proxy, faults: list[str]
) -> None:
    put_camera(context)
    page = context.new_page()
    page.goto(open_session(api).url.replace(api.server.url, proxy.url))
    page.wait_for_selector("[data-action=start]")
    proxy.refusing = True
    proxy.cut()
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    proxy.refusing = False
    page.wait_for_selector("[data-screen=success]")
    assert all("WebSocket connection" in fault for fault in faults)
    faults.clear()


def test_a_server_that_cannot_decide_now_is_come_back_to(
    context: BrowserContext, api: Api, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_camera(context)
    monkeypatch.setattr(capture, "BUSY_PAUSES", ())
    session = open_session(api)
    page = enter(context, session)
    with monkeypatch.context() as failing:
        failing.setattr(SessionService, "end", refuse)
        page.click("[data-action=start]")
        wait_until(lambda: bool(checks.made) and checks.made[0].verdict is not None)
        page.wait_for_selector("[data-action=start]")
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=success]")
    assert face_of(api, session)["failedAttempts"] == []


def test_a_camera_that_is_taken_away_and_given_back(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 30
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=start]")
    wait_until(lambda: bool(checks.made) and checks.made[0].seen > 5)
    page.evaluate(
        """() => {
            const [track] = document.querySelector("face-session").shadowRoot.querySelector("video").srcObject.getVideoTracks();
            track.stop();
            track.dispatchEvent(new Event("ended"));
        }"""
    )
    page.click("[data-action=retry]")
    page.wait_for_selector("[data-screen=success]")
    assert len(checks.made) == 1
    assert face_of(api, session)["failedAttempts"] == []


def test_a_copy_of_the_tab_takes_over_and_is_left_alone(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    context.add_init_script(
        """window.connections = 0;
        window.WebSocket = class extends WebSocket { constructor(...given) { super(...given); window.connections += 1; } };"""
    )
    session = open_session(api)
    first = enter(context, session)
    key, device = first.evaluate("Object.entries(sessionStorage)[0]")
    copy = context.new_page()
    copy.add_init_script(f"sessionStorage.setItem({json.dumps(key)}, {json.dumps(device)})")
    copy.goto(session.url)
    copy.wait_for_selector("[data-action=start]")
    first.wait_for_selector("[data-action=useThisDevice]")
    time.sleep(1.5)
    assert (first.evaluate("window.connections"), copy.evaluate("window.connections")) == (2, 1)
    copy.click("[data-action=start]")
    copy.wait_for_selector("[data-screen=success]")
    first.wait_for_selector("[data-screen=success]")


def test_a_browser_that_is_too_old_is_reported(
    context: BrowserContext, api: Api, album: Album, faults: list[str]
) -> None:
    context.add_init_script("window.CSSStyleSheet = class { constructor() { throw new TypeError('not here'); } };")
    page = context.new_page()
    page.goto(open_session(api).url)
    notice = page.locator(".too-old").first
    expect(notice).not_to_be_visible()
    expect(notice).to_be_visible(timeout=15_000)
    album.add(page, "too-old")
    assert any("not here" in fault for fault in faults)
    faults.clear()


def test_a_page_loaded_anew_goes_on(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 40
    session = open_session(api)
    page = enter(context, session)
    page.click("[data-action=start]")
    wait_until(lambda: bool(checks.made) and checks.made[0].seen > 5)
    page.reload()
    page.wait_for_selector("[data-screen=success]")
    assert len(checks.made) == 1


def test_without_coloured_light(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    page = enter(context, open_session(api))
    expect(page.get_by_role("switch", name="Use head movements instead")).not_to_be_checked()
    page.get_by_role("switch", name="Use head movements instead").check()
    page.click("[data-action=start]")
    page.wait_for_selector("[data-screen=success]")
    assert checks.made[0].flash is False


def test_who_wants_little_motion_gets_no_flashes_unless_wanted(chromium: Browser, api: Api, checks: Checks) -> None:
    context = chromium.new_context(reduced_motion="reduce", locale="en-GB")
    put_camera(context)
    page = enter(context, open_session(api))
    expect(page.get_by_role("switch", name="Use head movements instead")).to_be_checked()
    context.close()


def test_another_camera(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 60
    page = enter(context, open_session(api))
    page.click("[data-action=start]")
    page.get_by_role("combobox", name="Camera").select_option("second")
    page.wait_for_selector("[data-screen=success]")
    assert page.evaluate("window.opened") == ["first", "second"]


def test_the_keyboard_alone_suffices(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    page = enter(context, open_session(api))
    expect(page.locator(".panel h1")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-screen=success]")


def test_what_is_shown_is_said(context: BrowserContext, api: Api, checks: Checks) -> None:
    put_camera(context)
    checks.frames_needed = 10_000
    page = enter(context, open_session(api))
    page.click("[data-action=start]")
    expect(page.locator("[role=status]")).to_have_text("Good. Hold still")


def test_arabic(chromium: Browser, api: Api, checks: Checks, album: Album) -> None:
    context = chromium.new_context(locale="ar", viewport={"width": 390, "height": 844})
    put_camera(context)
    checks.frames_needed = 30
    page = enter(context, open_session(api))
    assert page.locator(".root").get_attribute("dir") == "rtl"
    assert page.locator(".root").get_attribute("lang") == "ar"
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir, document.title]") == [
        "ar",
        "rtl",
        "التحقق من الوجه",
    ]
    album.add(page, "intro")
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    time.sleep(0.5)
    album.add(page, "capture")
    page.wait_for_selector("[data-screen=success]")
    album.add(page, "success")
    context.close()


SCREENS = {
    "small-phone": (320, 568),
    "phone": (375, 553),
    "landscape": (667, 375),
    "zoomed-200": (640, 400),
    "zoomed-400": (320, 200),
}


def test_nothing_is_cut_off_on_small_and_zoomed_screens(
    context: BrowserContext, api: Api, checks: Checks, album: Album
) -> None:
    put_camera(context)
    checks.frames_needed = 10_000
    page = enter(context, open_session(api))
    for name, (width, height) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": height})
        album.add(page, name)
        panel, heading = (page.locator(part).bounding_box() for part in (".panel", ".panel h1"))
        assert panel is not None, name
        assert heading is not None, name
        assert 0 <= panel["y"] <= heading["y"], name
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        page.locator("[data-action=cancel]").scroll_into_view_if_needed()
        expect(page.locator("[data-action=cancel]")).to_be_in_viewport(ratio=0.95)
        page.locator(".panel").evaluate("(panel) => panel.scrollTo(0, 0)")
    page.click("[data-action=start]")
    for name, (width, height) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_selector(".stage:not([hidden])")
        for part in (".guide", "[data-action=cancel]", ".chooser", ".room"):
            box = page.locator(part).bounding_box()
            assert box, (name, part)
            assert min(box["x"], box["y"]) >= 0, (name, part)
            assert box["x"] + box["width"] <= width, (name, part)
            assert height < 300 or box["y"] + box["height"] <= height, (name, part)


def test_the_dark_and_the_forced_colours(context: BrowserContext, api: Api, checks: Checks, album: Album) -> None:
    page = enter(context, open_session(api))
    shown = "(element, name) => getComputedStyle(element)[name]"
    panel, switch = page.locator(".panel"), page.get_by_role("switch")
    assert panel.evaluate(shown, "backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert panel.evaluate(shown, "backgroundColor") == "rgb(25, 33, 30)"
    assert page.locator("body").evaluate(shown, "backgroundColor") == "rgb(15, 21, 19)"
    album.add(page, "dark")
    page.emulate_media(color_scheme="light", forced_colors="active")
    album.add(page, "forced")
    assert switch.evaluate(shown, "borderTopStyle") == "solid"
    off = switch.evaluate(shown, "backgroundColor")
    assert switch.evaluate(shown, "borderTopColor") != off
    switch.check()
    album.add(page, "forced-on")
    wait_until(lambda: bool(switch.evaluate(shown, "backgroundColor") != off))


@pytest.mark.parametrize("link", ["without-token", "mangled"])
def test_a_link_that_was_damaged_on_its_way_is_reported(
    context: BrowserContext, api: Api, faults: list[str], link: str
) -> None:
    url = open_session(api).url
    page = context.new_page()
    page.goto(url.partition("#")[0] if link == "without-token" else f"{api.server.url}/capture/nonsense")
    expect(page.locator("main")).to_contain_text("Open it again from the message")
    assert all("404" in fault for fault in faults)
    faults.clear()


def test_the_pages_headers(api: Api) -> None:
    session = open_session(api)
    reply = api.http.get(f"/capture/{session.id}")
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in reply.text
    assert " style=" not in reply.text
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"
    assert session.token not in reply.text
    assert api.http.get("/capture/nonsense").status_code == 404
