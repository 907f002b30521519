"""Landmarks of the whole face: lids, irises, lips, nose and outline, from one run of one network.

The five landmarks of a detection give the face's place; these give its expression. The model is optional, and only the
examination of a photo's quality uses it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Detection, Image
from likeness.engine.photo.resampling import Matrix, warp
from likeness.engine.runtime import Network

SIDE: Final = 256
"""Side of the network's input square, in pixels."""
_EXTENT: Final = 3.42
"""Side of that square on the photo. The unit is the eye distance or the eye-to-mouth distance, the longer of the two.

The square is then 1.5 times as large as the landmarks' extent (median of 499 photos), as in the network's training.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """The landmarks of one face, numbered as in MediaPipe's face mesh."""

    points: NDArray[np.float32]
    """(478, 3) float32: x, y and depth in pixels of the photo. Depth grows away from the camera."""
    presence: float
    """The probability that the square shows a face, in [0, 1]."""

    def enlarged(self, factor: float) -> "FaceLandmarks":
        """Return the landmarks in pixels of the same photo at ``factor`` times its size."""
        middle = np.array([0.5, 0.5, 0.0])
        return FaceLandmarks(((self.points + middle) * factor - middle).astype(np.float32), self.presence)


@dataclass(frozen=True, slots=True)
class LandmarkEstimator:
    """The loaded network: it takes ``pixels`` and returns ``landmarks`` and ``presence``. Thread-safe."""

    network: Network

    def estimate(self, image: Image, detection: Detection) -> FaceLandmarks:
        """Estimate the landmarks of a detected face."""
        matrix = _to_square(detection)
        square = np.empty((1, SIDE, SIDE, 3), np.uint8)
        warp(image, matrix, square[0])
        found = self.network.run(pixels=square)
        points = found["landmarks"][0].astype(np.float64)
        turn, shift = matrix[:, :2], matrix[:, 2]
        # The network measures from the square's edge. A photo's coordinates begin at the middle of its first pixel.
        flat = (points[:, :2] - 0.5 - shift) @ np.linalg.inv(turn).T
        depth = points[:, 2:] / np.hypot(*turn[0])
        return FaceLandmarks(np.hstack([flat, depth]).astype(np.float32), float(found["presence"][0, 0]))


def _to_square(detection: Detection) -> Matrix:
    """Return the (2, 3) matrix from the photo to the network's square, with the face upright and in its middle."""
    left, right, _, mouth_left, mouth_right = detection.landmarks.astype(np.float64)
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    roll = math.atan2(right[1] - left[1], right[0] - left[0])
    across = np.array([math.cos(roll), math.sin(roll)])
    extent = _EXTENT * max(math.dist(left, right), math.dist(eyes, mouth), 1.0)
    box = detection.box
    # On a turned head the eyes and mouth are not in the middle of the head, so the box gives the middle.
    middle = (eyes + mouth) / 2
    middle = middle + across * ((np.array([box.x + box.width / 2, box.y + box.height / 2]) - middle) @ across)
    turn = np.array([across, (-across[1], across[0])]) * SIDE / extent
    return np.hstack([turn, ((SIDE - 1) / 2 - turn @ middle)[:, None]])
