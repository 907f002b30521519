"""Whose photo is it? Choosing the one face that counts."""

from collections.abc import Sequence

import numpy as np

from likeness.engine.base import Detection, FacePolicy
from likeness.errors import MultipleFaces, NoFace

_CLEARLY_LARGER = 2.0
"""Times the area of the next largest: the subject stands at least 1.4 times nearer."""
_LARGER = 1.25
_CENTRAL = 0.15
"""Distance from the photo's middle, in diagonals."""


def choose_subject(detections: Sequence[Detection], size: tuple[int, int], policy: FacePolicy) -> Detection:
    """Choose the face that a photo of ``size`` (width, height) is of.

    The largest, if it is clearly the subject: twice the area of the next, or a quarter larger and alone in the middle.
    Raises NoFace, and MultipleFaces where no face is clearly the subject or the policy allows no other.
    """
    if not detections:
        raise NoFace("No face was found in the photo.")
    largest, *others = sorted(detections, key=lambda detection: -detection.box.area)
    if not others:
        return largest
    if policy is FacePolicy.SINGLE:
        raise MultipleFaces("The photo shows more than one face.")
    ratio = largest.box.area / max(others[0].box.area, 1e-6)
    rivals = [other for other in others if other.box.area * _CLEARLY_LARGER > largest.box.area]
    alone_in_the_middle = _off_centre(largest, size) < _CENTRAL and all(
        _off_centre(rival, size) > 2 * _CENTRAL for rival in rivals
    )
    if ratio >= _CLEARLY_LARGER or (ratio >= _LARGER and alone_in_the_middle):
        return largest
    raise MultipleFaces("The photo shows several faces and none is clearly its subject.")


def _off_centre(detection: Detection, size: tuple[int, int]) -> float:
    box = detection.box
    offset = (box.x + box.width / 2 - size[0] / 2, box.y + box.height / 2 - size[1] / 2)
    return float(np.hypot(*offset) / np.hypot(*size))
