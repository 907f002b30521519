"""The room of a presentation: camera, light, wall and the screen's present colour."""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.camera import Camera, Optics
from likeness.evaluation.liveness.simulator.scene import LINEAR, Layer, Lighting, render
from likeness.kit.arrays import FloatArray

_BANDS = 6
"""The number of bands of rows of a rolling shutter. The rows of a band have one time."""
_MARGIN = 8
"""Camera rows above and below a band that are rendered with it, because rays are interpolated."""


class Stage:
    """The parts that all presentations share. Call ``shows`` with each instruction at the time of its arrival."""

    def __init__(self, chance: np.random.Generator, optics: Optics | None = None) -> None:
        self.optics = optics or Optics.draw(chance)
        self.camera = Camera(self.optics, chance)
        self.lighting = draw_lighting(chance)
        background = draw_background(chance, self.optics.width, self.optics.height)
        still = np.asarray(cv2.resize(background, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
        self.background: Callable[[float], FloatArray] = lambda _: still
        """Gives the room behind the presentation at a time, as linear reflectance at half the camera's resolution."""
        self._latency_seconds = float(chance.uniform(0.02, 0.09))
        """The time from the page's command to light, and from light to the captured frame."""
        self._shown: list[tuple[float, FloatArray]] = [(0.0, np.zeros(3, np.float32))]

    def shows(self, message: Mapping[str, Any], at_seconds: float) -> None:
        """Change the screen as the page does, after the latency of the display and of the camera."""
        light = screen_light(message["colour"])
        if not np.array_equal(light, self._shown[-1][1]):
            self._shown.append((at_seconds + self._latency_seconds, light))

    def screen(self, at_seconds: float) -> FloatArray:
        """Return the linear RGB of the screen's light at a time."""
        for since, light in reversed(self._shown):
            if since <= at_seconds:
                return light
        return self._shown[0][1]

    def film(self, layers: tuple[Layer, ...], at_seconds: float) -> Image:
        """Return the camera's picture of the layers, all rows at one time."""
        return self.camera.develop(self._light(layers, at_seconds), at_seconds)

    def film_rows(self, layers_at: Callable[[float], tuple[Layer, ...]], at_seconds: float) -> Image:
        """Return the camera's picture of layers that move while a rolling shutter reads the rows.

        ``layers_at`` gives the layers at a time. The times ascend. The screen may change between two rows, too.
        """
        height, readout = self.optics.height, self.optics.readout_seconds
        light = np.empty((height, self.optics.width, 3), np.float32)
        for band in range(_BANDS):
            top, bottom = height * band // _BANDS, height * (band + 1) // _BANDS
            row_seconds = at_seconds + readout * band / _BANDS
            shown = self._light(layers_at(row_seconds), row_seconds, rows=(max(top - _MARGIN, 0), bottom + _MARGIN))
            light[top:bottom] = shown[top:bottom]
        return self.camera.develop(light, at_seconds)

    def _light(
        self, layers: tuple[Layer, ...], at_seconds: float, *, rows: tuple[int, int] | None = None
    ) -> FloatArray:
        background, screen = self.background(at_seconds), self.screen(at_seconds)
        return render(layers, background, self.camera, self.lighting, screen, rows=rows)


def screen_light(colour: str | None) -> FloatArray:
    """Return the linear RGB of a CSS hex colour. A page without a colour is dark."""
    if colour is None:
        return np.zeros(3, np.float32)
    return np.asarray(LINEAR[[int(colour[start : start + 2], 16) for start in (1, 3, 5)]])


def draw_lighting(chance: np.random.Generator) -> Lighting:
    """Draw the light of a room. The screen nearly doubles it in the dimmest room, and adds an eighth in an office."""
    warmth = chance.uniform(-0.18, 0.12)
    direction = np.array((chance.normal(0, 0.5), chance.normal(-0.5, 0.3), 1.0))
    half_width, half_height = chance.choice(((3.5, 7.0), (15.0, 9.5), (26.0, 15.0)))
    middle = half_height + 1.0
    points = np.array([(sx * half_width / 2, middle + sy * half_height / 2, 0.0) for sx in (-1, 1) for sy in (-1, 1)])
    return Lighting(
        np.array((1 + warmth, 1.0, 1 - warmth), np.float32),
        (direction / np.linalg.norm(direction)).astype(np.float32),
        float(chance.uniform(0.35, 0.8)),
        float(np.exp(chance.uniform(np.log(0.125), np.log(0.8)))),
        points.astype(np.float32),
    )


def draw_background(chance: np.random.Generator, width: int, height: int) -> FloatArray:
    """Paint a room out of focus, as (height, width, 3) linear reflectance."""
    room = np.full((height, width, 3), _paint(chance, 40, 200), np.float32)
    for _ in range(chance.integers(3, 10)):
        x, y = int(chance.integers(-50, width)), int(chance.integers(-50, height))
        size = x + int(chance.integers(40, 300)), y + int(chance.integers(40, 300))
        cv2.rectangle(room, (x, y), size, _paint(chance, 15, 235), -1)
    room += cv2.resize(chance.normal(0, 12, (height // 4, width // 4, 3)).astype(np.float32), (width, height))
    blurred = cv2.GaussianBlur(room, (0, 0), float(chance.uniform(1.0, 5.0)))
    return np.asarray(LINEAR[np.clip(blurred, 0, 255).astype(np.uint8)])


def _paint(chance: np.random.Generator, darkest: float, brightest: float) -> tuple[float, float, float]:
    """Draw a colour of walls and furniture, of any brightness and rarely vivid."""
    red, green, blue = chance.uniform(darkest, brightest) + chance.normal(0, 22, 3)
    return float(red), float(green), float(blue)
