"""A liveness check whose end a test chooses, and a browser's side of the capture socket."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.sync.client import ClientConnection, connect

from likeness.engine.base import Engine, Use
from likeness.engine.fake import fake_photo
from likeness.errors import ServiceUnavailable
from likeness.kit.fairness import Shares
from likeness.liveness.attempt.script import LivenessMode
from likeness.liveness.base import (
    Frame,
    Hint,
    Instruction,
    KeyFrame,
    Oval,
    SignalName,
    SignalResult,
    StatusCode,
    Verdict,
)
from likeness.sessions.capture.messages import pack_frame
from likeness.sessions.capture.services import CheckRequest
from servers import Api, Server
from session_endings import verified

FRAMES = 3
ATTEMPTS_AT_ONCE = 8
PERSON_FRAME = fake_photo(1, variation=2)
STRANGER_FRAME = fake_photo(2)
ATTACK_FRAME = fake_photo(1, attack=True)


@dataclass
class ScriptedCheck:
    """Ends after some frames: live, unless a frame is an attack. With ``times_out`` it times out."""

    engine: Engine
    mode: LivenessMode
    flash: bool
    camera: str | None
    verdict: Verdict | None = None
    best: KeyFrame | None = None
    seen: int = 0
    attacked: bool = False
    times_out: bool = False
    frames_needed: int = FRAMES
    guidance: tuple[StatusCode, Hint | None] | None = None
    frames: list[Frame] = field(default_factory=list)

    @property
    def key_frames(self) -> tuple[KeyFrame, ...]:
        return (self.best,) if self.best else ()

    def observe(self, frame: Frame) -> Instruction:
        self.frames.append(dataclasses.replace(frame, image=frame.image[:1, :1]))
        self.seen += 1
        found = self.engine.detect(frame.image)
        if found:
            self.attacked |= self.engine.live_scores(frame.image, found[0]).by_model["fake"] < 0.5
            quality = self.engine.assess(frame.image, found[0], use=Use.PROBE)
            template = self.engine.embed(frame.image, found[:1])[0]
            at = frame.received_at_seconds
            self.best = KeyFrame(frame.image, found[0], template, quality, at, 0, lit_by_flash=False)
        if self.seen == self.frames_needed:
            self._decide(live=bool(found) and not self.attacked)
        return self._instruction()

    def tick(self, now_seconds: float) -> Instruction:  # noqa: ARG002
        if self.times_out:
            self._decide(live=False, status=StatusCode.FACE_TIMEOUT)
        return self._instruction()

    def _decide(self, *, live: bool, status: StatusCode | None = None) -> None:
        signal = SignalResult(SignalName.CHALLENGE, 1.0, 0.5, passed=live, reason="scripted")
        ended = status or (StatusCode.FACE_LIVENESS_PASSED if live else StatusCode.FACE_LIVENESS_FAILED)
        self.verdict = Verdict(live, ended, str(self.mode), self.flash, (signal,), "scripted")

    def _instruction(self) -> Instruction:
        code, hint = self.guidance or (StatusCode.FACE_LIVENESS_HOLD_STILL, None)
        if self.verdict:
            code, hint = self.verdict.status_code, None
        done = min(self.seen / self.frames_needed, 1)
        return Instruction(code, done, 0, 1, Oval(320, 240, 200, 280), hint=hint, verdict=self.verdict)


@dataclass
class Checks:
    """The checks that the server has made, and the settings of later ones."""

    made: list[ScriptedCheck] = field(default_factory=list)
    times_out: bool = False
    frames_needed: int = FRAMES
    guidance: tuple[StatusCode, Hint | None] | None = None
    """The instruction, by default to hold still."""

    def __call__(self, engine: Engine, request: CheckRequest) -> ScriptedCheck:
        check = ScriptedCheck(
            engine,
            request.mode,
            request.flash,
            request.camera.label,
            times_out=self.times_out,
            frames_needed=self.frames_needed,
            guidance=self.guidance,
        )
        self.made.append(check)
        return check


@contextlib.contextmanager
def scripted(server: Server, **changes: Any) -> Iterator[Checks]:
    """Replace the server's liveness checks by scripted ones."""
    captures = server.components.captures
    before, checks = captures.services, Checks()
    # New slots: an attempt of an earlier test may still wait for its device, and must not make the server busy.
    own: dict[str, Any] = {"new_check": checks, "slots": Shares(ATTEMPTS_AT_ONCE)}
    captures.services = dataclasses.replace(before, **own | changes)
    try:
        yield checks
    finally:
        captures.services = before


@dataclass
class Session:
    id: str
    token: str
    url: str


def open_session(api: Api, **fields: Any) -> Session:
    reply = api.open_session(fake_photo(1), **fields)
    assert reply.status_code == 201, reply.text
    url = urlsplit(reply.json()["captureUrl"])
    return Session(reply.json()["sessionId"], parse_qs(url.fragment)["token"][0], reply.json()["captureUrl"])


@dataclass
class Browser:
    """A connection to the capture socket."""

    socket: ClientConnection
    ready: dict[str, Any] = field(default_factory=dict)

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def hear(self, *, seconds: float = 20) -> dict[str, Any]:
        message = json.loads(self.socket.recv(timeout=seconds))
        assert isinstance(message, dict)
        return message

    def hear_of(self, kind: str) -> dict[str, Any]:
        message = self.hear()
        assert message["type"] == kind, message
        return message

    def send_frame(self, jpeg: bytes, *, t: float | None = 1.0, flash: int | None = None) -> None:
        self.socket.send(pack_frame(jpeg, t=t, flash=flash))

    def start(self, **fields: Any) -> dict[str, Any]:
        self.say(type="start", **fields)
        return self.hear_of("started")

    def stream(self, jpeg: bytes, frames: int = FRAMES) -> list[dict[str, Any]]:
        """Send frames one by one, each after the answer to the one before."""
        heard = []
        for _ in range(frames):
            self.send_frame(jpeg)
            heard.append(self.hear_of("instruct"))
        return heard

    def attempt(self, jpeg: bytes) -> dict[str, Any]:
        """Make one attempt. Give the server's message after it."""
        self.start()
        assert self.stream(jpeg)[-1]["done"] is True
        return self.hear()


@contextlib.contextmanager
def browsing(api: Api, session: Session, *, hello: dict[str, Any] | None = None) -> Iterator[Browser]:
    """Connect and send a hello. The test reads the answer."""
    address = f"{api.server.url.replace('http', 'ws', 1)}/api/v1/capture/{session.id}"
    with connect(address, compression=None, close_timeout=2) as socket:
        browser = Browser(socket)
        browser.say(**({"type": "hello", "token": session.token} | (hello or {})))
        yield browser


@contextlib.contextmanager
def ready_browser(api: Api, session: Session, **hello: Any) -> Iterator[Browser]:
    with browsing(api, session, hello=hello) as browser:
        browser.ready = browser.hear_of("ready")
        yield browser


def face_of(api: Api, session: Session) -> dict[str, Any]:
    """Fetch the session's result, and give its claims about the face."""
    reply = api.call("GET", f"/api/v1/info/{session.id}")
    assert reply.status_code == 200, reply.text
    claims = verified(api, reply.text)
    assert claims["data"]["sessionId"] == session.id
    return dict(claims["data"]["face"])


def assert_is_copy(api: Api, session_id: str, jws: str) -> None:
    """Assert that the browser got the session's result, without the liveness signals."""
    claims = verified(api, api.call("GET", f"/api/v1/info/{session_id}").text)
    claims["data"]["face"]["liveness"]["signals"] = []
    assert verified(api, jws) == claims


async def refuse(*_given: object, **_named: object) -> None:
    """Behave as a busy part of the server."""
    raise ServiceUnavailable("not now")
