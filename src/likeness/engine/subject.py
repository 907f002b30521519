"""The choice of a photo's subject among its faces, and the rules for it by the photo's source."""

from collections.abc import Callable, Sequence

import numpy as np

from likeness.engine.base import Box, Detection, Use
from likeness.engine.policy import FacePolicy
from likeness.engine.source import PhotoSource
from likeness.errors import MultipleFaces, NoFace

_CENTRAL = 0.2
"""Distance from the photo's middle, in diagonals. At this distance a face counts a third of its area."""
_RIVAL_AREA = 0.5
"""A face with a smaller part of the subject's area is no rival: it is at least 1.4 times farther from the camera."""
_ASIDE_AREA, _ASIDE = 0.8, 0.15
"""A face below this part of the subject's area is no rival if it is this much farther from the middle, in diagonals."""
_TWIN_AREA = 0.8
"""Two faces of a document are about equal if one has this part of the other's area. A ghost image has less."""
_SEEN = 0.7
"""A face with a lower confidence is no rival: it is hidden, cut off, or not a face."""
_CUT_MARGIN, _CUT_AREA = 0.1, 1.5
"""A face nearer to the edge than this part of its width is cut off. It is a rival only if its area is this many times
the subject's; otherwise it is a person who walks by."""


def rules_of(source: PhotoSource | None, use: Use, policy: FacePolicy) -> tuple[Use, FacePolicy]:
    """Give the use and the policy for a photo of a source.

    Documents have smaller and older portraits than cameras, so their quality is that of an ID photo. A selfie is judged
    as a probe, also where an ID photo is expected.
    """
    if source is PhotoSource.ID_DOCUMENT:
        return Use.ID_PHOTO, FacePolicy.DOCUMENT
    if source is PhotoSource.CHIP:
        return Use.ID_PHOTO, policy
    if source is PhotoSource.SELFIE and use is Use.ID_PHOTO:
        return Use.PROBE, policy
    return use, policy


def choose_subject(
    detections: Sequence[Detection],
    size: tuple[int, int],
    policy: FacePolicy,
    in_focus: Callable[[Detection], bool] = lambda _: True,
) -> Detection:
    """Choose the subject of a photo of ``size`` (width, height): the largest face, with more weight near the middle.

    A face that is not ``in_focus`` is part of the background and no rival. Only faces that could be rivals are tested.
    The portrait of a document is its largest face. Raises NoFace if there is no face. Raises MultipleFaces if another
    face could be the subject, or if the policy allows one face only.
    """
    if not detections:
        raise NoFace("No face was found in the photo.")
    if policy is FacePolicy.DOCUMENT:
        return _choose_portrait(detections, in_focus)
    subject, *others = sorted(detections, key=lambda detection: -_prominence(detection, size))
    if others and policy is FacePolicy.SINGLE:
        raise MultipleFaces("The photo shows more than one face.")
    if any(_rivals(other, subject, size) and in_focus(other) for other in others):
        raise MultipleFaces("The photo shows several faces and none is clearly its subject.")
    return subject


def enlarge(face: Detection, factor: float) -> Detection:
    """Return a detected face in pixels of the same photo at ``factor`` times its size."""
    if factor == 1:
        return face
    box = Box(*(value * factor for value in (face.box.x, face.box.y, face.box.width, face.box.height)))
    # Landmarks are pixel indices, and the middle of a small photo's pixel is between pixels of the large photo.
    return Detection(box, (face.landmarks + np.float32(0.5)) * np.float32(factor) - np.float32(0.5), face.confidence)


def _choose_portrait(detections: Sequence[Detection], in_focus: Callable[[Detection], bool]) -> Detection:
    """Choose the largest face of a document, wherever it is. Raises MultipleFaces if another one is about as large."""
    seen = [detection for detection in detections if detection.confidence >= _SEEN] or detections
    portrait, *others = sorted(seen, key=lambda detection: -detection.box.area)
    if any(each.box.area >= _TWIN_AREA * portrait.box.area and in_focus(each) for each in others):
        raise MultipleFaces("The document shows several faces of about the same size.")
    return portrait


def _prominence(detection: Detection, size: tuple[int, int]) -> float:
    return detection.box.area * float(np.exp(-((_off_centre(detection, size) / _CENTRAL) ** 2)))


def _rivals(other: Detection, subject: Detection, size: tuple[int, int]) -> bool:
    """Whether ``other`` could also be the photo's subject."""
    ratio = other.box.area / max(subject.box.area, 1e-6)
    aside = _off_centre(other, size) > _off_centre(subject, size) + _ASIDE
    if other.confidence < _SEEN or ratio < _RIVAL_AREA or (ratio < _ASIDE_AREA and aside):
        return False
    box = other.box
    to_edge = min(box.x, box.y, size[0] - box.x - box.width, size[1] - box.y - box.height)
    return to_edge >= _CUT_MARGIN * box.width or ratio > _CUT_AREA


def _off_centre(detection: Detection, size: tuple[int, int]) -> float:
    box = detection.box
    offset = (box.x + box.width / 2 - size[0] / 2, box.y + box.height / 2 - size[1] / 2)
    return float(np.hypot(*offset) / np.hypot(*size))
