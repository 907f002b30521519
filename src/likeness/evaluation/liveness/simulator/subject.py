"""A simulated live person who follows the page's instructions."""

from collections.abc import Mapping
from typing import Any, Protocol

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.motion import Motion
from likeness.evaluation.liveness.simulator.portrait import HEIGHT, LEFT_CM, PIXELS_PER_CM, TOP_CM, WIDTH, Portrait
from likeness.evaluation.liveness.simulator.scene import Layer, Pose
from likeness.evaluation.liveness.simulator.stage import Stage
from likeness.evaluation.liveness.simulator.surfaces import Head, Plane

_MOUTH = (
    slice(int((TOP_CM + 4.5) * PIXELS_PER_CM), int((TOP_CM + 9.5) * PIXELS_PER_CM)),
    slice(int((LEFT_CM - 4) * PIXELS_PER_CM), int((LEFT_CM + 4) * PIXELS_PER_CM)),
)
"""The part of a portrait that moves with the mouth."""
_MOUTH_ROWS, _MOUTH_COLUMNS = np.mgrid[_MOUTH].astype(np.float32)
_MOUTH_WEIGHT = np.outer(*(np.cos(np.pi * (np.arange(size) / size - 0.5)) ** 2 for size in _MOUTH_ROWS.shape)).astype(
    np.float32
)
"""How far each place moves with the mouth: 1 in the middle, 0 at the edge."""


class Presentation(Protocol):
    """A presentation to the camera. ``message`` is an instruction in its JSON form."""

    camera_label: str

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        """Take an instruction at the time when the page receives it."""
        ...

    def frame(self, at_seconds: float) -> Image:
        """Return the camera's picture at a time. The times must ascend."""
        ...

    def encode(self, image: Image) -> bytes:
        """Compress a frame as the page does."""
        ...


class SimulatedSubject:
    """A live head on a body. It turns, tilts and comes closer. The screen lights it, and its mouth moves a little."""

    def __init__(
        self,
        portrait: Portrait,
        chance: np.random.Generator,
        *,
        stage: Stage | None = None,
        camera_label: str = "Integrated Webcam",
    ) -> None:
        self.stage = stage or Stage(chance)
        self.camera_label = camera_label
        optics = self.stage.optics
        self.motion = Motion(chance, optics.focal_pixels, (optics.width / 2, optics.height / 2))
        self._head = Head(chance, nose_x_cm=portrait.nose_x_cm, nose_y_cm=portrait.nose_y_cm)
        self._portrait = portrait
        self._clothes, self._body = (
            np.asarray(cv2.resize(pixels, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)
            for pixels in (portrait.pixels, body_mask())
        )
        self._mouth = chance.uniform(0.2, 0.8), chance.uniform(0, 0.12) * PIXELS_PER_CM

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        self.stage.shows(message, at_seconds)
        self.motion.react(message, at_seconds)

    def layers(self, pose: Pose, at_seconds: float) -> tuple[Layer, ...]:
        """Return the body and the head at a pose. ``pose.z`` is the distance of the eyes."""
        centre = Pose(pose.x, pose.y, pose.z + self._head.front_cm - 1.0, pose.yaw, pose.pitch, pose.roll)
        behind = Pose(pose.x * 0.9, pose.y + 1.0, centre.z + 3.0)
        return (
            Layer(Plane(), self._clothes, behind, alpha=self._body, reach_cm=36.0, above_cm=-4.0, soft=True),
            Layer(
                self._head,
                self._live_texture(at_seconds),
                centre,
                gloss_map=self._portrait.gloss_map,
                reach_cm=13.0,
            ),
        )

    def frame(self, at_seconds: float) -> Image:
        if self.stage.optics.readout_seconds:
            return self.stage.film_rows(self._layers_at, at_seconds)
        return self.stage.film(self._layers_at(at_seconds), at_seconds)

    def _layers_at(self, at_seconds: float) -> tuple[Layer, ...]:
        return self.layers(self.motion.pose(at_seconds), at_seconds)

    def encode(self, image: Image) -> bytes:
        return self.stage.camera.compress(image)

    def _live_texture(self, at_seconds: float) -> Image:
        speed, size = self._mouth
        stretched = _MOUTH_ROWS + np.float32(size * np.sin(2 * np.pi * speed * at_seconds)) * _MOUTH_WEIGHT
        texture = self._portrait.pixels.copy()
        texture[_MOUTH] = cv2.remap(self._portrait.pixels, _MOUTH_COLUMNS, stretched, cv2.INTER_LINEAR)
        return texture


def body_mask() -> Image:
    """Return the alpha channel of neck and shoulders in a portrait's layout."""
    axis_y, axis_x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) / PIXELS_PER_CM
    x, y = np.abs(axis_x - LEFT_CM), axis_y - TOP_CM
    neck = (x < 6.0) & (y > 6)
    shoulders = (y > 13.5) & (x < 6 + 3.0 * (y - 13.5))
    return np.asarray(cv2.GaussianBlur((neck | shoulders).astype(np.uint8) * 255, (0, 0), 3.0), np.uint8)
