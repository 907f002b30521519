"""The capture page and the component in Firefox and WebKit, with a simulated camera. The check ends as the test wants."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser.album import artefacts_folder
from browser.engines import Driven, click, firefox, wait_for, webkit
from scripted_sessions import ATTACK_FRAME, PERSON_FRAME, Checks, assert_is_copy, face_of, open_session, scripted
from servers import Api, Server, calling

HERE = Path(__file__).parent
CAMERAS = {"firefox": (HERE / "still_camera.js").read_text(), "webkit": (HERE / "replaced_pictures.js").read_text()}
"""What simulates the camera. WebKitGTK gives only the first picture of a canvas stream, but it has a mock camera."""
ENGINES: dict[str, Callable[[], contextlib.AbstractContextManager[Driven]]] = {"firefox": firefox, "webkit": webkit}


@pytest.fixture
def checks(own_server: Server) -> Iterator[Checks]:
    with scripted(own_server) as made:
        yield made


@pytest.fixture
def api(own_server: Server) -> Iterator[Api]:
    with calling(own_server) as caller:
        yield caller


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, Driven]]:
    with ENGINES[request.param]() as page:
        yield request.param, page


@pytest.fixture
def page(engine: tuple[str, Driven]) -> Driven:
    return engine[1]


@pytest.fixture
def keep(engine: tuple[str, Driven]) -> Callable[[str], None]:
    """Give a function that keeps a picture of the page for people to look at."""

    def picture(step: str) -> None:
        folder = artefacts_folder()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"engine-{engine[0]}-{step}.png").write_bytes(engine[1].picture())

    return picture


def put_camera(page: Driven, jpeg: bytes) -> None:
    """Simulate a camera for the open page."""
    given = {"jpeg": base64.b64encode(jpeg).decode(), "label": "Camera", "dead": None}
    page.run(f"(({CAMERAS[page.name]})({json.dumps(given)}), true)")


def test_a_session_with_success(page: Driven, api: Api, checks: Checks, keep: Callable[[str], None]) -> None:
    checks.frames_needed = 12
    session = open_session(api)
    page.open(session.url)
    wait_for(page, "[data-action=start]")
    keep("intro")
    put_camera(page, PERSON_FRAME)
    click(page, "[data-action=start]")
    wait_for(page, ".stage:not([hidden])")
    keep("capture")
    wait_for(page, "[data-screen=success]")
    keep("success")
    assert face_of(api, session)["match"] is True
    frames = checks.made[0].frames
    assert checks.made[0].camera == page.camera
    assert {frame.signed for frame in frames} == {True}
    assert len({frame.data for frame in frames}) == len(frames) == 12
    assert all(frame.client_at_seconds is not None for frame in frames)
    assert frames[0].camera_at_seconds is not None


def test_a_failed_attempt_gives_advice(page: Driven, api: Api, checks: Checks, keep: Callable[[str], None]) -> None:
    page.open(open_session(api, maxAttempts=2).url)
    wait_for(page, "[data-action=start]")
    put_camera(page, ATTACK_FRAME)
    click(page, "[data-action=start]")
    wait_for(page, "[data-screen=failure]")
    keep("failure")
    told = page.run("document.querySelector('face-session').shadowRoot.textContent")
    assert "Wait for each step on the screen" in told
    assert "Attempts left: 1" in told
    assert len(checks.made) == 1


def test_the_component_in_a_page_of_another_origin(page: Driven, api: Api, checks: Checks) -> None:
    session = open_session(api)
    module = f"{api.server.url}/static/face-session/index.js"
    html = (
        "<!doctype html><title>shop</title><body><script type=module>"
        f"import {{ faceSession }} from {json.dumps(module)};"
        f"faceSession({{ captureUrl: {json.dumps(session.url)} }}).then((jws) => (window.jws = jws));"
        "</script></body>"
    )
    with serving_page(html) as address:
        page.open(address)
        wait_for(page, "[data-action=start]")
        put_camera(page, PERSON_FRAME)
        click(page, "[data-action=start]")
        wait_for(page, "[data-screen=success]")
        assert_is_copy(api, session.id, page.run("window.jws"))
    assert len(checks.made) == 1


class _Page(BaseHTTPRequestHandler):
    def __init__(self, html: str, *given: object) -> None:
        self.html = html
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.html.encode())

    def log_message(self, *_given: object) -> None: ...


@contextlib.contextmanager
def serving_page(html: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, html))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
