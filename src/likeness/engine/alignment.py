"""Turning, scaling and cutting a face so that its landmarks land where a recogniser expects them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image

Points = NDArray[np.float32]
Matrix = NDArray[np.float64]

_SHRINK_BELOW = 0.5
"""Bilinear sampling skips pixels below this scale; the photo is averaged down first."""


@dataclass(frozen=True, slots=True)
class View:
    """One look at an aligned face: mirrored or not, nearer or farther, moved by fractions of the chip's side."""

    mirrored: bool = False
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def similarity(source: Points, target: Points) -> Matrix:
    """Give the (2, 3) rotation, uniform scale and shift that takes ``source`` nearest to ``target``, in least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    source_mean, target_mean = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    centred_source, centred_target = source - source_mean, target - target_mean
    # In the plane, the best rotation and scale is one complex number.
    x, y = centred_source.T
    u, v = centred_target.T
    spread = max(float((centred_source**2).sum()), 1e-12)
    cosine, sine = float((x * u + y * v).sum()) / spread, float((x * v - y * u).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (target_mean - turn @ source_mean)[:, None]])


def cut_chips(image: Image, landmarks: Points, reference: Points, side: int, views: Sequence[View]) -> Image:
    """Cut a face once per view: (views, side, side, 3). ``reference``: where its landmarks go; black beyond the photo."""
    base = similarity(landmarks, reference)
    centre = (side - 1) / 2
    chips = np.empty((len(views), side, side, 3), np.uint8)
    for chip, view in zip(chips, views, strict=True):
        matrix = base * view.zoom
        matrix[:, 2] += (1 - view.zoom) * centre + np.array(view.shift) * side
        if view.mirrored:
            matrix[0] = -matrix[0]
            matrix[0, 2] += side - 1
        warp(image, matrix, chip)
    return chips


def warp(image: Image, matrix: Matrix, chip: Image, *, border: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Fill ``chip`` with what ``matrix`` takes from the photo to it; ``border`` beyond the photo's edges."""
    side = chip.shape[0]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < _SHRINK_BELOW:
        image, matrix = _averaged_down(image, matrix, side, scale)
    cv2.warpAffine(
        image,
        matrix,
        (side, side),
        dst=chip,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )


def _averaged_down(image: Image, matrix: Matrix, side: int, scale: float) -> tuple[Image, Matrix]:
    """Shrink what the chip shows of the photo by a whole factor, so that about one pixel there makes one pixel here."""
    factor = max(int(0.75 / scale), 1)
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], np.float64)
    backwards = cv2.invertAffineTransform(matrix)
    extent = corners @ backwards.T
    left, top = (max(int(value) - 2 * factor, 0) for value in extent.min(axis=0))
    right, bottom = (int(value) + 2 * factor for value in extent.max(axis=0))
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < factor:
        return image, matrix
    height, width = part.shape[0] // factor, part.shape[1] // factor
    small = cv2.resize(part[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    # A pixel there covers factor pixels here; whole pixels have their centres at half coordinates.
    to_small = matrix.copy()
    to_small[:, :2] *= factor
    to_small[:, 2] += matrix[:, :2] @ (np.array([left, top]) + (factor - 1) / 2)
    return np.asarray(small, np.uint8), to_small
