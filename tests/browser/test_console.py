"""The console in a real Chromium: its work, its looks in four settings, and axe-core on every page."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from browser.album import Album
from browser.people import People
from console.visiting import account, secrets_of
from lacking import skip_here
from likeness.console.accounts.roles import Role
from servers import Api, Server, calling
from session_endings import end, failure

AXE = Path(__file__).parents[1] / "conformance" / "node_modules" / "axe-core" / "axe.min.js"
SIGNAL = {
    "name": "parallax",
    "score": 0.2,
    "threshold": 0.5,
    "passed": False,
    "required": True,
    "reason": "the face moved like a flat picture",
}
SETTINGS = ["light", "dark", "right-to-left", "narrow"]


@pytest.fixture(scope="module")
def api(real_server: Server, people: People) -> Iterator[Api]:
    with calling(real_server) as made:
        made.insert(people.photos.astronaut, externalId="eileen", metadata={"branch": "Dubai"})
        for name, photo in list(people.photos.people.items())[:3]:
            made.insert(photo, externalId=name)
        made.match(people.photos.astronaut, people.id_photo)
        yield made


@pytest.fixture
def page(context: BrowserContext, api: Api) -> Page:
    """Give a page of an administrator who has just signed in."""
    form = secrets_of(api.server, account(api, Role.ADMINISTRATOR))
    made = context.new_page()
    made.goto(f"{api.server.url}/console")
    for name, value in form.items():
        made.fill(f"[name={name}]", value)
    made.click("main [type=submit]")
    made.wait_for_url("**/console/try")
    return made


def photo(content: bytes) -> FilePayload:
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": content}


def choose(page: Page, *contents: bytes) -> None:
    for field, content in zip(page.locator(".drop input").all(), contents, strict=True):
        field.set_input_files(photo(content))
    expect(page.locator("form.try [type=submit]")).to_be_enabled()
    page.click("form.try [type=submit]")


def lost_session(api: Api, people: People) -> str:
    session = str(api.open_session(people.photos.astronaut).json()["sessionId"])
    lost = failure(liveness={"live": False, "signals": [SIGNAL]})
    with ThreadPoolExecutor(1) as thread:  # this one has Playwright's event loop
        thread.submit(end, api.server, session, lost).result()
    return session


def violations(page: Page) -> list[str]:
    if not AXE.is_file():
        skip_here("axe-core is missing (npm ci in tests/conformance)")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => { const r = await axe.run(); return [r.passes.length, r.violations]; }")
    assert found[0] > 10
    return [f"{each['id']}: {each['nodes'][0]['target']} {each['nodes'][0]['html'][:120]}" for each in found[1]]


def test_two_photos_are_compared_and_a_bad_one_is_explained(
    page: Page, people: People, album: Album, faults: list[str]
) -> None:
    choose(page, people.photos.astronaut, people.id_photo)
    expect(page.locator(".verdict-word")).to_have_text("Same person")
    drawn = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    for canvas in page.locator(".face canvas").all():
        assert canvas.evaluate(drawn) > 100
    page.get_by_role("tab", name="curl").press("ArrowRight")
    expect(page.get_by_role("tabpanel")).to_contain_text("likeness_client")
    album.add(page, "same")
    page.locator(".drop input").nth(1).set_input_files(photo(people.photos.astronaut[:2000]))
    page.click("form.try [type=submit]")
    expect(page.locator("[data-outcome] .refusal")).to_contain_text("damaged")
    assert [fault for fault in faults if "400" in fault]
    faults.clear()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("form.try [type=submit]")).to_be_disabled()


def test_a_person_is_searched_and_erased(page: Page, api: Api, people: People, album: Album) -> None:
    gone = api.insert(people.id_photo, externalId="to erase").json()["oneToNVerificationId"]
    page.click("text=Gallery")
    choose(page, people.id_photo)
    expect(page.locator(".candidates li").first).to_contain_text("Level 5")
    album.add(page, "candidates")
    page.click(".candidates >> text=to erase")
    page.click("text=Erase this person")
    expect(page.locator("details[open]")).to_contain_text("go for good")
    page.click("text=Erase for good")
    page.wait_for_url("**/console/gallery")
    assert api.call("GET", f"/api/v1/face/one-to-n/{gone}").status_code == 404


def test_a_client_is_made_and_works_at_once(page: Page, api: Api) -> None:
    page.click("text=Clients")
    page.fill("form.fields [name=name]", "shop")
    page.check("text=Compare two photos")
    page.click("text=Make the client")
    client_id, secret = (each.inner_text() for each in page.locator("dd code").all())
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    assert httpx.post(f"{api.server.url}/api/oauth/token", data=form).status_code == 200


def test_a_failed_session_is_read(page: Page, api: Api, people: People, album: Album) -> None:
    session = lost_session(api, people)
    page.click("text=Sessions")
    page.click(f"text={session[:8]}")
    expect(page.locator(".verdict")).to_contain_text("No attempt was left")
    expect(page.locator("main")).to_contain_text(str(SIGNAL["reason"]))
    album.add(page, "session")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.type") == "file"


def test_a_phone_has_a_menu(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    expect(page.locator("nav")).to_be_hidden()
    page.click("text=Menu")
    page.click("text=Usage")
    page.wait_for_url("**/console/usage")


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_page_is_accessible_and_fits(page: Page, api: Api, people: People, album: Album, setting: str) -> None:
    if setting == "dark":
        page.emulate_media(color_scheme="dark")
    if setting == "narrow":
        page.set_viewport_size({"width": 320, "height": 640})
    if setting == "right-to-left":
        page.click("[name=language][value=ar]")
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
    entry = api.call("GET", "/api/v1/face/one-to-n?externalId=eileen").json()["entries"][0]["oneToNVerificationId"]
    paths = [f"sessions/{lost_session(api, people)}", f"gallery/{entry}"]
    paths += ["sessions", "gallery", "clients", "usage", "audit", "models"]
    choose(page, people.photos.astronaut, people.id_photo)
    page.wait_for_selector(".verdict")
    for path in ["try", *paths]:
        if path != "try":
            page.goto(f"{api.server.url}/console/{path}")
        album.add(page, path.partition("/")[0])
        assert violations(page) == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, path
    page.context.clear_cookies(name="__Host-console")
    page.goto(f"{api.server.url}/console/usage")
    expect(page.locator("[name=password]")).to_be_visible()
    assert violations(page) == []
