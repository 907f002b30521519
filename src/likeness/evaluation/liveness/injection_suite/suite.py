"""The run of injection attacks against a server through a real Chromium."""

import base64
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np

from likeness.engine.base import Engine
from likeness.errors import SetupError
from likeness.evaluation.liveness.injection_suite.attacks import (
    METHODS,
    SOCKET_CLIENTS,
    Cast,
    InjectionKind,
)
from likeness.evaluation.liveness.injection_suite.chromium import FLAGS, Launch
from likeness.evaluation.liveness.injection_suite.scene import Method, SceneCamera, SuiteClock, WallClock
from likeness.evaluation.liveness.injection_suite.socket_client import SocketClient
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import Shot
from likeness.kit.jose import claims_of

if TYPE_CHECKING:  # Playwright is not a part of the product
    from playwright.sync_api import Browser

ENDED = "[data-screen=success], [data-screen=failure], [data-screen=cancelled], [data-screen=camera]"
FILE_FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
FILE_FRAMES_PER_SECOND = 30
ATTEMPT_MILLISECONDS = 240_000


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """The end of one attack."""

    kind: InjectionKind
    seed: int
    detected: bool
    """Whether the session ended without a match."""
    signals: tuple[str, ...]
    """The signals that did not pass, each with its codes."""
    failures: tuple[str, ...]
    """The session's failed attempts."""

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "seed": self.seed,
            "detected": self.detected,
            "signals": list(self.signals),
            "failures": list(self.failures),
        }


@dataclass(slots=True)
class AttackedServer:
    """A server, and a client of it that may open sessions and read their results."""

    url: str
    token: Callable[[], str]
    id_photo: bytes
    """A photo of the victim."""

    def open(self) -> tuple[str, str]:
        """Open a session with one attempt. Give its id and its capture URL. Raises SetupError."""
        body = {
            "idPhoto": base64.b64encode(self.id_photo).decode(),
            "maxAttempts": 1,
            "minimumMatchLevel": 1,
            "livenessMode": "active",
        }
        reply = self._call("POST", "/api/v1/face", json=body)
        if reply.status_code != httpx.codes.CREATED:
            raise SetupError(f"{self.url} opens no session: {reply.json().get('message', reply.status_code)}")
        return reply.json()["sessionId"], reply.json()["captureUrl"]

    def face(self, session_id: str) -> dict[str, Any]:
        """Give the claims of a session's result about the face. Raises SetupError."""
        reply = self._call("GET", f"/api/v1/info/{session_id}")
        if reply.status_code != httpx.codes.OK:
            raise SetupError(f"{self.url} gives no result of an attack: {reply.json().get('message')}")
        return dict(claims_of(reply.text)["data"]["face"])

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token()}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, trust_env=False, **options)


@dataclass(slots=True)
class InjectionSuite:
    """Carries out attacks in the victim's name, one after another."""

    target: AttackedServer
    engine: Engine
    victim: bytes
    """The photo of which the attacker makes instruments: another one than the ID photo."""
    accomplice: bytes
    launch: Launch
    clock: Callable[[InjectionKind], SuiteClock] = lambda _kind: WallClock()

    def run(self, kind: InjectionKind, seed: int) -> AttackOutcome:
        """Carry out one attack. Raises SetupError if the server does not take part."""
        chance = np.random.default_rng((seed, list(InjectionKind).index(kind)))
        cast = Cast(self.engine, self._portrait(self.victim, chance), self._portrait(self.accomplice, chance), chance)
        session_id, capture_url = self.target.open()
        clock = self.clock(kind)
        if kind in SOCKET_CLIENTS:
            self._by_socket(cast, kind, session_id, capture_url, clock)
        elif kind is InjectionKind.REPLAYED_VIDEO_FILE:
            self._by_file(cast, capture_url)
        else:
            self._by_scene(cast, kind, capture_url, clock)
        face = self.target.face(session_id)
        failed = [one for one in face["liveness"]["signals"] if one["required"] and not one["passed"]]
        return AttackOutcome(
            kind,
            seed,
            not face["match"],
            tuple(f"{one['name']} {','.join(one['codes'])}".strip() for one in failed),
            tuple(face["failedAttempts"]),
        )

    def _by_socket(self, cast: Cast, kind: InjectionKind, session_id: str, capture_url: str, clock: SuiteClock) -> None:
        url = urlsplit(capture_url)
        address = f"{url.scheme.replace('http', 'ws', 1)}://{url.netloc}/api/v1/capture/{session_id}"
        token = parse_qs(url.fragment)["token"][0]
        signs = kind is InjectionKind.SIGNING_SOCKET_CLIENT
        SocketClient(address, token, cast.presentation(kind), clock, signs=signs).run()

    def _by_file(self, cast: Cast, capture_url: str) -> None:
        with tempfile.NamedTemporaryFile(suffix=".mjpeg") as file:
            file.write(b"".join(_played(cast.recording())))
            file.flush()
            with self.launch((*FLAGS, *FILE_FLAGS, f"--use-file-for-fake-video-capture={file.name}")) as browser:
                _attempt(browser, capture_url, None)

    def _by_scene(self, cast: Cast, kind: InjectionKind, capture_url: str, clock: SuiteClock) -> None:
        method = METHODS.get(kind, Method.BELOW)
        camera = SceneCamera(
            clock,
            cast.presentation(kind),
            method,
            cast.double() if method is Method.SOCKET else None,
            equal_times=kind is InjectionKind.PERFECT_TIMING,
        )
        with self.launch(FLAGS) as browser:
            _attempt(browser, capture_url, camera)

    def _portrait(self, photo: bytes, chance: np.random.Generator) -> Portrait:
        image = self.engine.decode(photo)
        return Portrait.from_photo(image, self.engine.detect(image)[0].landmarks, chance)


def _attempt(browser: "Browser", capture_url: str, camera: SceneCamera | None) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    try:
        if camera is not None:
            camera.install(context)
        page = context.new_page()
        page.goto(capture_url)
        page.click("[data-action=start]", timeout=60_000)
        page.wait_for_selector(ENDED, timeout=ATTEMPT_MILLISECONDS)
    finally:
        context.close()


def _played(shots: Sequence[Shot]) -> Iterator[bytes]:
    """Give a recording's frames at the rate at which Chromium plays a file."""
    for shot, after in zip(shots, (*shots[1:], None), strict=True):
        lasting = 1 / FILE_FRAMES_PER_SECOND if after is None else after.at_seconds - shot.at_seconds
        yield from [shot.data] * max(1, round(lasting * FILE_FRAMES_PER_SECOND))
