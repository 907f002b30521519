"""Firefox and WebKit as they come with Debian, driven by their own protocols: WebDriver BiDi, and WebDriver."""

import base64
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.sync.client import ClientConnection, connect

from lacking import needed_program, skip_here

MINI_BROWSERS = tuple(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
SHADOW = "document.querySelector('face-session').shadowRoot"
PATIENCE_SECONDS = 60.0


class Driven(Protocol):
    """One page of a browser."""

    name: str
    camera: str
    """The name of its simulated camera."""

    def open(self, url: str) -> None: ...

    def run(self, expression: str) -> Any:
        """Evaluate an expression in the page. Its value is a JSON text, a boolean or None."""
        ...

    def picture(self) -> bytes:
        """Give the page as PNG."""
        ...


def wait_for(page: Driven, selector: str) -> None:
    """Wait for an element of the face session."""
    end = time.monotonic() + PATIENCE_SECONDS
    found = f"Boolean(document.querySelector('face-session')?.shadowRoot?.querySelector({json.dumps(selector)}))"
    while not page.run(found):
        assert time.monotonic() < end, f"{selector} did not come: {page.run(f'{SHADOW}?.textContent')}"
        time.sleep(0.1)


def click(page: Driven, selector: str) -> None:
    page.run(f"{SHADOW}.querySelector({json.dumps(selector)}).click() ?? null")


@dataclass
class Firefox:
    """A page of Firefox by WebDriver BiDi."""

    socket: ClientConnection
    context: str = ""
    name: str = "firefox"
    camera: str = "Camera first"
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            reply = json.loads(self.socket.recv(timeout=PATIENCE_SECONDS))
            if reply.get("id") == number:
                assert reply["type"] == "success", reply
                return dict(reply["result"])

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def run(self, expression: str) -> Any:
        done = self.call("script.evaluate", expression=expression, target={"context": self.context}, awaitPromise=True)
        assert done["type"] == "success", done
        return done["result"].get("value")

    def picture(self) -> bytes:
        return base64.b64decode(self.call("browsingContext.captureScreenshot", context=self.context)["data"])


@dataclass
class WebKit:
    """A page of WebKitGTK by WebDriver."""

    http: httpx.Client
    session: str
    name: str = "webkit"
    camera: str = "Mock video device 1"

    def call(self, method: str, path: str, **parameters: Any) -> Any:
        body = parameters if method == "POST" else None
        reply = self.http.request(method, f"/session/{self.session}{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()["value"]

    def open(self, url: str) -> None:
        self.call("POST", "/url", url=url)

    def run(self, expression: str) -> Any:
        return self.call("POST", "/execute/sync", script=f"return ({expression});", args=[])

    def picture(self) -> bytes:
        return base64.b64decode(self.call("GET", "/screenshot"))


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    """Start Debian's Firefox without a window."""
    program = needed_program("firefox-esr", of="apt-get install firefox-esr")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        (Path(profile) / "stderr").open("wb") as told,
        _ended(
            [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"], stderr=told
        ),
    ):

        def address() -> str | None:
            found = re.search(r"BiDi listening on (ws://\S+)\n", Path(told.name).read_text(errors="replace"))
            return found[1] if found else None

        _wait(lambda: address() is not None)
        with connect(f"{address()}/session", max_size=2**26) as socket:
            page = Firefox(socket)
            page.call("session.new", capabilities={})
            page.context = page.call("browsingContext.getTree")["contexts"][0]["context"]
            yield page


@contextlib.contextmanager
def webkit() -> Iterator[WebKit]:
    """Start Debian's WebKitGTK on a screen that nobody sees."""
    driver = needed_program("WebKitWebDriver", of="apt-get install webkit2gtk-driver")
    display = needed_program("Xvfb", of="apt-get install xvfb")
    if not MINI_BROWSERS:
        skip_here("WebKitGTK's MiniBrowser is not installed (apt-get install webkit2gtk-driver)")
    reading, writing = os.pipe()
    with _ended([display, "-displayfd", str(writing), "-screen", "0", "1280x900x24"], pass_fds=(writing,)):
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        # Without a GPU, and as root in a container, where the browser's own sandbox cannot start.
        own = {"DISPLAY": f":{number}", "LIBGL_ALWAYS_SOFTWARE": "1", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
        port = _free_port()
        with (
            _ended([driver, f"--port={port}"], env=os.environ | own),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, trust_env=False) as http,
        ):
            _wait(lambda: http.get("/status").status_code == 200)
            options = {
                "binary": str(MINI_BROWSERS[-1]),
                "args": ["--automation", "--enable-media-stream=true", "--enable-mock-capture-devices=true"],
            }
            wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
            reply = http.post("/session", json=wanted)
            assert reply.status_code == 200, reply.text
            page = WebKit(http, reply.json()["value"]["sessionId"])
            yield page
            page.call("DELETE", "")


@contextlib.contextmanager
def _ended(command: list[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Run a program until the block ends."""
    silent = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process: subprocess.Popen[Any] = subprocess.Popen(command, **(silent | options))
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < end, "the driver did not start"
        time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
