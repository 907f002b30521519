"""Face alignment: turn, scale and cut a face so that its landmarks are where a recogniser expects them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image
from likeness.engine.photo.resampling import Matrix, warp

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChipView:
    """One view of an aligned face.

    It may be mirrored, enlarged by ``zoom``, and moved by ``shift`` (x, y) in fractions of the chip's side.
    """

    mirrored: bool = False
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def similarity(source: Points, target: Points) -> Matrix:
    """Return the (2, 3) rotation, uniform scale and shift that fits ``source`` (n, 2) to ``target`` in least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    source_mean, target_mean = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    centred_source, centred_target = source - source_mean, target - target_mean
    # In the plane, one complex number describes the best rotation and scale.
    x, y = centred_source.T
    u, v = centred_target.T
    spread = max(float((centred_source**2).sum()), 1e-12)
    cosine, sine = float((x * u + y * v).sum()) / spread, float((x * v - y * u).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (target_mean - turn @ source_mean)[:, None]])


def cut_chips(image: Image, landmarks: Points, reference: Points, side: int, views: Sequence[ChipView]) -> Image:
    """Cut a face once for each view, as (views, side, side, 3).

    ``reference`` (5, 2) gives the places of the landmarks on the chip. Pixels outside the photo are black.
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
