"""A camera that is a simulated scene: the page's ``getUserMedia`` gives a canvas whose pictures are rendered as it asks for them.

The scene sees what the page shows: its instructions, as they came over the page's own socket, and the colour that it really paints.
Time is the scene's: it goes on by one frame interval with every frame that the page has sent, for the page's clock as for the
server's, so that a slow machine sees the same session as a fast one, only later.
"""

import base64
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from playwright.sync_api import BrowserContext

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.subject import Presentation

FRAME_SECONDS = 0.09
SCRIPT = (Path(__file__).parent / "simulated_camera.js").read_text()


@dataclass
class SceneClock:
    """The time in the scene, which the server's liveness check goes by."""

    seconds: float = 1000.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        # Two moments are never the same, whatever happens between two frames.
        with self._lock:
            self.seconds += 1e-6
            return self.seconds

    def go_on(self) -> float:
        with self._lock:
            self.seconds += FRAME_SECONDS
            return self.seconds


@dataclass
class SimulatedCamera:
    """Puts a presentation before the camera of a browser context."""

    clock: SceneClock
    presentation: Presentation
    instruction: dict[str, Any] = field(default_factory=dict)
    _waiting: Image | None = None
    _pictures: int = 0

    def install(self, context: BrowserContext) -> None:
        context.expose_binding("simulatedFrame", lambda _source, seen: self._frame(seen))
        context.add_init_script(f"({SCRIPT})({json.dumps({'label': self.presentation.camera_label})});")

    def _frame(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Give the next picture to a page that was told ``messages`` since the last and now paints ``colour``."""
        if not seen["begun"]:
            return self._before()
        for message in seen["messages"]:
            self.instruction = {**message, "colour": seen["colour"]}
            self.presentation.react(self.instruction, self.clock())
        if self.instruction and self.instruction["colour"] != seen["colour"]:
            self.instruction["colour"] = seen["colour"]
            self.presentation.react(self.instruction, self.clock())
        now = self.clock.go_on()
        return self._give(self.presentation.frame(now), now)

    def _before(self) -> dict[str, Any]:
        """Give a picture before the attempt: the scene waits, however many the page looks at, and only a corner flickers."""
        now = self.clock()
        if self._waiting is None:
            self._waiting = self.presentation.frame(now).copy()
        self._pictures += 1
        self._waiting[:8, :8] = self._pictures * 37 % 256
        return self._give(self._waiting, now)

    @staticmethod
    def _give(image: Image, now: float) -> dict[str, Any]:
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 96])
        assert done
        return {"jpeg": base64.b64encode(encoded.tobytes()).decode(), "now": now * 1000}
