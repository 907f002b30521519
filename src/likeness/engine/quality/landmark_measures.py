"""Quality measures from the landmarks of the whole face, with the published formulas and scales of OFIQ.

OFIQ is the reference implementation of ISO/IEC 29794-5. It computes landmarks and head pose with other networks. So
these measures resemble those of OFIQ, but they are not conformant.

Source: OFIQ 1, ``OFIQlib/modules/measures`` (Federal Office for Information Security, Germany).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import QualityMeasure
from likeness.engine.landmarks import FaceLandmarks
from likeness.engine.quality.measures import HeadPose, pose_of, squared_cosine

_LEFT_EYE_CORNERS: Final = (33, 133)
"""The corners of the eye on the image's left, the outer corner first."""
_RIGHT_EYE_CORNERS: Final = (263, 362)
_LEFT_LIDS: Final = ((160, 144), (159, 145), (158, 153))
_RIGHT_LIDS: Final = ((385, 380), (386, 374), (387, 373))
_LIPS: Final = ((81, 178), (13, 14), (311, 402))
"""Pairs of opposite points on the inner edges of the lips."""
_FOREHEAD, _CHIN = 10, 152

_SLOPE: Final = math.radians(6.8)
"""Slope of the line from forehead to chin on a face that looks straight ahead: the median of 499 press photos (LFW)."""


def landmark_measures(landmarks: FaceLandmarks) -> tuple[QualityMeasure, ...]:
    """Measure the eyes, the mouth, the eye distance and the head's pose.

    ``EyesOpen`` and ``MouthClosed`` are an opening divided by the distance from the eyes to the chin. ``EyesOpen`` is
    that of the eye that is less open. ``InterEyeDistance`` is in pixels and corrected for the yaw of the head. The
    angles are in degrees, with the signs of ``HeadPose``.
    """
    flat = landmarks.points[:, :2].astype(np.float64)
    pose = landmark_pose(landmarks)
    left, right = flat[list(_LEFT_EYE_CORNERS)].mean(axis=0), flat[list(_RIGHT_EYE_CORNERS)].mean(axis=0)
    to_chin = max(math.dist((left + right) / 2, flat[_CHIN]), 1e-6)
    eyes = min(_opening(flat, _LEFT_LIDS), _opening(flat, _RIGHT_LIDS)) / to_chin
    mouth = _opening(flat, _LIPS) / to_chin
    distance = math.dist(left, right) / max(math.cos(math.radians(pose.yaw)), 0.1)
    rated = {
        "EyesOpen": (eyes, _sigmoid(eyes, 0.02, 0.01)),
        "MouthClosed": (mouth, 100 - _sigmoid(mouth, 0.2, 0.06)),
        "InterEyeDistance": (distance, _sigmoid(distance, 70, 20)),
        "HeadPoseYaw": (pose.yaw, 100 * squared_cosine(pose.yaw)),
        "HeadPosePitch": (pose.pitch, 100 * squared_cosine(pose.pitch)),
        "HeadPoseRoll": (pose.roll, 100 * squared_cosine(pose.roll)),
    }
    return tuple(QualityMeasure(name, round(raw, 3), round(scalar)) for name, (raw, scalar) in rated.items())


def landmark_pose(landmarks: FaceLandmarks) -> HeadPose:
    """Return the head's angles. Its axes go from eye to eye and, corrected by ``_SLOPE``, from forehead to chin."""
    # Depth grows away from the camera, but the head's third axis points towards the camera.
    points = landmarks.points.astype(np.float64) * (1, 1, -1)
    across = _unit(points[_RIGHT_EYE_CORNERS[0]] - points[_LEFT_EYE_CORNERS[0]])
    slope = points[_CHIN] - points[_FOREHEAD]
    slope = _unit(slope - across * (slope @ across))
    down = math.cos(_SLOPE) * slope + math.sin(_SLOPE) * np.cross(across, slope)
    image_x, image_y, _ = np.stack([across, down, np.cross(across, down)], axis=1).tolist()
    return pose_of(image_x, image_y)


def _opening(flat: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> float:
    return max(math.dist(flat[upper], flat[lower]) for upper, lower in pairs)


def _sigmoid(raw: float, middle: float, width: float) -> float:
    """Return a value in 0..100, which is 50 at ``middle``."""
    return 100 / (1 + math.exp(min((middle - raw) / width, 700.0)))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
