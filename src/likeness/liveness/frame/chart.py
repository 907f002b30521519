"""The face chart: an upright face at a fixed size, so that frames can be compared point by point."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import similarity
from likeness.engine.base import Image
from likeness.kit.arrays import FloatArray

WIDTH, HEIGHT = 160, 192
EYE_DISTANCE = 56.0
"""Pixels between the eyes in a chart."""
CENTRE_X, EYE_LINE = 80.0, 72.0
REFERENCE = np.array(
    (
        (CENTRE_X - EYE_DISTANCE / 2, EYE_LINE),
        (CENTRE_X + EYE_DISTANCE / 2, EYE_LINE),
        (CENTRE_X, EYE_LINE + 0.65 * EYE_DISTANCE),
        (CENTRE_X - 0.39 * EYE_DISTANCE, EYE_LINE + 1.02 * EYE_DISTANCE),
        (CENTRE_X + 0.39 * EYE_DISTANCE, EYE_LINE + 1.02 * EYE_DISTANCE),
    ),
    np.float32,
)
"""The places of an average face's five landmarks in a chart, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """One face at chart size, with its size in the frame."""

    pixels: Image
    """(HEIGHT, WIDTH, 3) RGB."""
    eye_distance_pixels: float
    """The eye distance in the frame, from the best similarity transform of the five landmarks."""


def cut_chart(image: Image, landmarks: FloatArray) -> Chart:
    """Cut the chart of one face from a frame. Pixels outside the frame are black."""
    placing = similarity(landmarks, REFERENCE)
    scale = float(np.hypot(placing[0, 0], placing[1, 0]))
    pixels = cv2.warpAffine(image, placing, (WIDTH, HEIGHT), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return Chart(np.asarray(pixels, np.uint8), EYE_DISTANCE / max(scale, 1e-6))


def relief_texture(chart: Chart) -> Image:
    """Return a chart's grey texture with equalised light and contrast, for the registration with another chart."""
    grey = cv2.cvtColor(chart.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(grey, (0, 0), 9)
    spread = cv2.sqrt(cv2.GaussianBlur((grey - mean) ** 2, (0, 0), 9) + 16)
    return np.asarray(np.clip(128 + 45 * (grey - mean) / spread, 0, 255), np.uint8)


def head_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an average head's height towards the camera, in eye distances. The head is a half ellipsoid with a nose.

    ``x`` and ``y`` are eye distances from the point between the eyes, with y down.
    """
    skull = 1.5 * np.sqrt(np.clip(1 - (x / 1.2) ** 2 - (y / 2.4) ** 2, 0.02, 1))
    ridge = np.where(y < 0.66, np.clip((y + 0.05) / 0.7, 0, 1), np.exp(-(((y - 0.66) / 0.1) ** 2) / 2))
    return np.asarray(skull + 0.38 * ridge * np.exp(-((x / 0.2) ** 2) / 2))
