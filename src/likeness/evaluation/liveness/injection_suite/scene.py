"""A camera that is a simulated scene before a page in a real browser.

The scene sees what the page shows: its instructions, as they came over the page's own socket, and the colour that it
really paints. With a :class:`WallClock` the time is the real one, as for a server elsewhere. A clock that is not real
goes on by one frame interval with every frame, for the page as for the scene. The server's checks must then go by it.
"""

import base64
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

import cv2

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.subject import Presentation

if TYPE_CHECKING:  # Playwright is not a part of the product
    from playwright.sync_api import BrowserContext

FRAME_SECONDS = 0.09
SCRIPT = (files("likeness.evaluation.liveness.injection_suite") / "pages" / "scene_camera.js").read_text(
    encoding="utf-8"
)


class Method(StrEnum):
    """How the pictures come into the page (injection attack method)."""

    BELOW = "below"
    """Below the browser, as by a replaced driver. The page sees a genuine camera."""
    CANVAS = "canvas"
    """The stream of a canvas in place of the camera's."""
    OVERRIDDEN = "overridden"
    """A function of the attacker's in place of getUserMedia."""
    SOCKET = "socket"
    """Other pictures in the page's messages to the server."""


class SuiteClock(Protocol):
    """The time in a scene, in seconds."""

    def __call__(self) -> float: ...

    def go_on(self) -> float:
        """Go on to the next frame, and return its time."""
        ...

    @property
    def is_real(self) -> bool: ...


@dataclass
class WallClock:
    """The real time."""

    is_real: bool = True

    def __call__(self) -> float:
        return time.monotonic()

    def go_on(self) -> float:
        return time.monotonic()


@dataclass
class SceneCamera:
    """Puts a presentation before the camera of a browser context."""

    clock: SuiteClock
    presentation: Presentation
    method: Method = Method.BELOW
    injected: Presentation | None = None
    """What the server gets in place of the camera's pictures, with :attr:`Method.SOCKET`."""
    equal_times: bool = False
    """Whether the page's clock shows equal intervals."""
    instruction: dict[str, Any] = field(default_factory=dict)
    _waiting: Image | None = None
    _pictures: int = 0

    def install(self, context: "BrowserContext") -> None:
        """Replace the camera of all pages of a context."""
        context.expose_binding("simulatedFrame", lambda _source, seen: self._frame(seen))
        context.expose_binding("injectedFrame", lambda _source: self._injected())
        told = {"label": self.presentation.camera_label, "method": self.method.value}
        context.add_init_script(f"({SCRIPT})({json.dumps(told)});")

    def _presentations(self) -> tuple[Presentation, ...]:
        return (self.presentation,) if self.injected is None else (self.presentation, self.injected)

    def _react(self) -> None:
        for each in self._presentations():
            each.react(self.instruction, self.clock())

    def _frame(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Give the next picture to a page that was told ``messages`` since the last and now paints ``colour``."""
        if not seen["begun"]:
            return self._before()
        for message in seen["messages"]:
            self.instruction = {**message, "colour": seen["colour"]}
            self._react()
        if self.instruction and self.instruction["colour"] != seen["colour"]:
            self.instruction["colour"] = seen["colour"]
            self._react()
        now = self.clock.go_on()
        return self._give(self.presentation.frame(now), now)

    def _before(self) -> dict[str, Any]:
        """Give a picture before the attempt. The scene waits, and only a corner of it flickers."""
        now = self.clock()
        if self._waiting is None:
            self._waiting = self.presentation.frame(now).copy()
        self._waiting[:8, :8] = (self._pictures + 1) * 37 % 256
        return self._give(self._waiting, now)

    def _injected(self) -> dict[str, Any]:
        assert self.injected is not None
        now = self.clock()
        picture = self.injected.encode(self.injected.frame(now))
        return {"jpeg": base64.b64encode(picture).decode()}

    def _give(self, image: Image, now: float) -> dict[str, Any]:
        self._pictures += 1
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 96])[1]
        shown: float | None = 1000 * now
        if self.equal_times:
            shown = 1_000_000 + 1000 * FRAME_SECONDS * self._pictures
        elif self.clock.is_real:
            shown = None
        return {"jpeg": base64.b64encode(encoded.tobytes()).decode(), "now": shown}
