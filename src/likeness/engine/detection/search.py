"""Coarse to fine, upright first: looking for faces without paying for what a photo does not need.

A portrait's face is large, so a small picture of the photo shows it. Finer pictures, and the photo turned by 90, 180 and
270 degrees, are looked at only while nothing convincing was found.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection, Image
from likeness.engine.detection import Detector

_COARSE, _MEDIUM = 0.12, 0.05
"""Smallest face of the first two looks, of the photo's shorter side."""
_FINE = 1 / 64
"""Smallest face of the last look, of the photo's longer side: so a photo of any size costs at most so much."""
_RIVAL = 0.6
"""A face that is less than this much as wide as the largest is no rival for being the subject."""
_DOUBTFUL_PIXELS = 32
"""Width below which a face is believed only if it, or another in the photo, is convincing: dogs have faces too."""
_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 3: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180}
"""Quarter turns anticlockwise, likeliest first: a camera held upright, the other way, upside down."""


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """A detector, used as the module's docstring says. Thread-safe."""

    detector: Detector

    def all_faces(self, image: Image, smallest: float | None = None, *, upright: bool = False) -> list[Detection]:
        """Find every face at least ``smallest`` pixels wide (None: as small as is worth it), largest first.

        ``upright``: the image is known to be, so it is looked at once and never turned.
        """
        wanted = self._finest(image) if smallest is None else max(smallest, self.detector.finest)
        return _largest_first(self._look(image, wanted, turning=not upright))

    def subject_and_rivals(self, image: Image) -> list[Detection]:
        """Find the largest face and all that rival it for being the photo's subject, largest first; smaller faces may be missing."""
        found: list[Detection] = []
        for index, smallest in enumerate(self._widths(image)):
            # The photo is turned only after a closer look at it upright has failed too, but before the dearest look.
            found = self._look(image, smallest, turning=index > 0)
            if self._convincing(found) and max(face.box.width for face in found) * _RIVAL >= smallest:
                break
        return _largest_first(found)

    def _widths(self, image: Image) -> list[float]:
        """Give the falling face widths to look for."""
        side = min(image.shape[:2])
        finest = self._finest(image)
        return sorted({max(share * side, finest) for share in (_COARSE, _MEDIUM, 0.0)}, reverse=True)

    def _finest(self, image: Image) -> float:
        return max(self.detector.finest, _FINE * float(max(image.shape[:2])))

    def _look(self, image: Image, smallest: float, *, turning: bool = True) -> list[Detection]:
        """Look at one resolution, turning the photo while nothing convincing was found."""
        best = self.detector.detect(image, smallest=smallest)
        least = _MEDIUM * min(image.shape[:2])
        for turns, rotation in _TURNS.items():
            if self._convincing(best) or not turning:
                break
            # Texture looks like a small face in one orientation or another: a turned face must be large and convincing.
            turned = self.detector.detect(
                np.asarray(cv2.rotate(image, rotation), np.uint8), smallest=max(smallest, least)
            )
            if self._convincing(turned) and _confidence(turned) > _confidence(best):
                best = [turn_back(face, turns, image.shape[1], image.shape[0]) for face in turned]
        # Beside a face that leaves no doubt, something doubtful is no face; on its own it must at least be large.
        if self._convincing(best):
            return [face for face in best if face.confidence >= self.detector.credible]
        return [face for face in best if face.box.width >= _DOUBTFUL_PIXELS]

    def _convincing(self, faces: list[Detection]) -> bool:
        return _confidence(faces) >= self.detector.convincing


def turn_back(face: Detection, turns: int, width: int, height: int) -> Detection:
    """Take a face found in an image after ``turns`` quarter turns anticlockwise to the coordinates of the image, which is ``width`` x ``height``."""
    box = face.box
    corners = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]])
    back = _turn_points(corners, turns, width, height)
    (left, top), (right, bottom) = back.min(axis=0), back.max(axis=0)
    # Landmarks are pixel indices, whose turns swap first and last pixel; box edges lie between pixels.
    landmarks = _turn_points(face.landmarks.astype(np.float64), turns, width - 1, height - 1).astype(np.float32)
    return Detection(Box(float(left), float(top), float(right - left), float(bottom - top)), landmarks, face.confidence)


def _turn_points(points: NDArray[np.float64], turns: int, width: int, height: int) -> NDArray[np.float64]:
    x, y = points[:, 0], points[:, 1]
    columns = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns]
    return np.stack(columns, axis=1)


def _confidence(faces: list[Detection]) -> float:
    return max((face.confidence for face in faces), default=0.0)


def _largest_first(faces: list[Detection]) -> list[Detection]:
    return sorted(faces, key=lambda face: -face.box.area)
