"""The API's reference in a real Chromium: it needs nobody else, and makes the calls that it describes."""

import json
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, expect

from browser.album import Album
from likeness.engine.fake import fake_photo
from servers import Api, Server


def test_the_reference_gets_a_token_and_makes_a_call_and_asks_no_other_host(
    context: BrowserContext, server: Server, api: Api, album: Album
) -> None:
    host = "localhost"  # not the address that the server knows of itself
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(f"http://{host}:{urlsplit(server.url).port}/docs")

    page.click("button.authorize")
    page.fill("#client_id_clientCredentials", api.client_id)
    page.fill("#client_secret_clientCredentials", api.client_secret)
    album.add(page, "authorize")
    page.click(".modal-ux .auth-btn-wrapper .authorize")
    page.click(".modal-ux .btn-done")
    call = page.locator("#operations-match-faceMatch")
    call.locator(".opblock-summary-control").click()
    call.locator(".opblock-section-request-body select").first.select_option("multipart/form-data")
    for file in call.locator("input[type=file]").all():
        file.set_input_files({"name": "one.jpg", "mimeType": "image/jpeg", "buffer": fake_photo(1)})
    call.locator(".execute").click()
    expect(call.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")
    assert json.loads(call.locator(".live-responses-table .highlight-code pre").first.inner_text())["match"] is True
    album.add(page, "answer")

    assert {urlsplit(url).hostname for url in asked if not url.startswith("data:")} == {host}


def test_the_reference_follows_the_readers_dark_mode(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{server.url}/docs")
    page.wait_for_selector(".opblock")
    brightness = "() => getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(page.evaluate(brightness)) < 64
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => !document.documentElement.classList.contains('dark-mode')")


def test_the_way_in_fits_a_phone(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(server.url)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
