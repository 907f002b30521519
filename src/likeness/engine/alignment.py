"""Turning, scaling and cutting a face so that its landmarks land where a recogniser expects them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image
from likeness.engine.photo.resampling import Matrix, warp

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChipView:
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


def cut_chips(image: Image, landmarks: Points, reference: Points, side: int, views: Sequence[ChipView]) -> Image:
    """Cut a face once per view: (views, side, side, 3).

    ``reference``: where its landmarks go; black beyond the photo.
    """
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
