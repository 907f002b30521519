"""Quality measures from the landmarks of the whole face, by the formulas and scales that OFIQ publishes.

OFIQ is the reference implementation of ISO/IEC 29794-5. Its landmarks come from another network, and its head pose too,
so these measures resemble OFIQ's and are not conformant.

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
"""Of the eye on the image's left; the outer one first."""
_RIGHT_EYE_CORNERS: Final = (263, 362)
_LEFT_LIDS: Final = ((160, 144), (159, 145), (158, 153))
_RIGHT_LIDS: Final = ((385, 380), (386, 374), (387, 373))
_LIPS: Final = ((81, 178), (13, 14), (311, 402))
"""Points that face each other on the inner edges of the lips."""
_FOREHEAD, _CHIN = 10, 152

_SLOPE: Final = math.radians(6.8)
"""How far the line from forehead to chin leans back on a face that looks level: the median of 499 press photos (LFW).
"""


def landmark_measures(landmarks: FaceLandmarks) -> tuple[QualityMeasure, ...]:
    """Measure eyes, mouth, the distance between the eyes and the head's pose.

    ``EyesOpen`` (of the eye that is less open) and ``MouthClosed`` are openings over the distance from the eyes to the
    chin; ``InterEyeDistance`` is in pixels, with a turned head undone; the angles are in degrees, with the signs of
    ``HeadPose``.
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
    """Give the head's angles: its axes go from eye to eye and, but for ``_SLOPE``, from forehead to chin."""
    # Depth grows away from the camera, and the head's third axis points towards it.
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
    """Give 0..100, 50 at ``middle``."""
    return 100 / (1 + math.exp(min((middle - raw) / width, 700.0)))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
