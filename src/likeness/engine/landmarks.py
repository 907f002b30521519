"""Landmarks of the whole face: where lids, irises, lips, nose and outline are, from one look of one network.

The five landmarks that every detection has say where the face is; these say what it does. The model is optional, and
nothing but a look at a photo's quality asks for it.
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
"""Pixels of the square that the network sees."""
_EXTENT: Final = 3.42
"""Side of that square, in the longer of the distances between the eyes and from eyes to mouth.

It is then 1.5 times the landmarks' own extent (median of 499 photos), which is what the network was trained on.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """The landmarks of one face, numbered as in MediaPipe's face mesh."""

    points: NDArray[np.float32]
    """(478, 3): x and y in pixels of the photo, and depth in the same unit, away from the camera."""
    presence: float
    """The probability that the square shows a face, in [0, 1]."""

    def enlarged(self, factor: float) -> "FaceLandmarks":
        """Give the landmarks in the same photo ``factor`` times as large."""
        middle = np.array([0.5, 0.5, 0.0])
        return FaceLandmarks(((self.points + middle) * factor - middle).astype(np.float32), self.presence)


@dataclass(frozen=True, slots=True)
class LandmarkEstimator:
    """The network, loaded: takes ``pixels``, gives ``landmarks`` and ``presence``. Thread-safe."""

    network: Network

    def estimate(self, image: Image, detection: Detection) -> FaceLandmarks:
        """Place the landmarks of a face that was found in the photo."""
        matrix = _to_square(detection)
        square = np.empty((1, SIDE, SIDE, 3), np.uint8)
        warp(image, matrix, square[0])
        found = self.network.run(pixels=square)
        points = found["landmarks"][0].astype(np.float64)
        turn, shift = matrix[:, :2], matrix[:, 2]
        # The network counts from the square's edge, and a photo's coordinates from the middle of its first pixel.
        flat = (points[:, :2] - 0.5 - shift) @ np.linalg.inv(turn).T
        depth = points[:, 2:] / np.hypot(*turn[0])
        return FaceLandmarks(np.hstack([flat, depth]).astype(np.float32), float(found["presence"][0, 0]))


def _to_square(detection: Detection) -> Matrix:
    """Give what takes the photo to the square that the network sees: the face upright, in its middle."""
    left, right, _, mouth_left, mouth_right = detection.landmarks.astype(np.float64)
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    roll = math.atan2(right[1] - left[1], right[0] - left[0])
    across = np.array([math.cos(roll), math.sin(roll)])
    extent = _EXTENT * max(math.dist(left, right), math.dist(eyes, mouth), 1.0)
    box = detection.box
    # A turned head's eyes and mouth lie to one side of it; the box has it in its middle.
    middle = (eyes + mouth) / 2
    middle = middle + across * ((np.array([box.x + box.width / 2, box.y + box.height / 2]) - middle) @ across)
    turn = np.array([across, (-across[1], across[0])]) * SIDE / extent
    return np.hstack([turn, ((SIDE - 1) / 2 - turn @ middle)[:, None]])
