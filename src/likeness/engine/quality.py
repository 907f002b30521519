"""How good a face image is, by the measures of ISO/IEC 29794-5 that landmarks and pixels tell.

Pixels are measured on a small upright crop of the face, so that the photo's size and the face's roll do not matter.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import similarity
from likeness.engine.base import Detection, Image, Quality, QualityMeasure, Use

CROP_SIDE = 96
CROP_LANDMARKS = np.array([(30, 36), (66, 36), (48, 56), (33, 74), (63, 74)], np.float32)
"""Where the five landmarks go on the crop, which then holds the face from brow to chin."""

SCALES: Mapping[str, tuple[float, float]] = {
    "InterEyeDistance": (8.0, 60.0),
    "HeadPoseYaw": (0.9, 0.1),
    "Sharpness": (0.5, 6.0),
    "UnderExposurePrevention": (0.95, 0.2),
    "OverExposurePrevention": (0.95, 0.1),
    "DynamicRange": (2.5, 6.5),
}
"""The raw value that scores 0 and the one that scores 100."""

LEAST: Mapping[Use, Mapping[str, int]] = {
    Use.PROBE: {"InterEyeDistance": 8, "UnderExposurePrevention": 8, "OverExposurePrevention": 4, "DynamicRange": 10},
    Use.ID_PHOTO: {
        "InterEyeDistance": 12,
        "UnderExposurePrevention": 8,
        "OverExposurePrevention": 4,
        "DynamicRange": 15,
    },
    Use.ENROL: {"InterEyeDistance": 15, "UnderExposurePrevention": 10, "OverExposurePrevention": 5, "DynamicRange": 15},
}
"""The least scalar of each measure, by use. They refuse what cannot be used, not what could be better."""


def assess(image: Image, detection: Detection, *, use: Use) -> Quality:
    """Measure a face and say, worst first, what falls short for this use. The unified score is the lowest two scalars' mean."""
    crop = _crop(image, detection)
    raw = {
        "InterEyeDistance": _inter_eye_distance(detection),
        "HeadPoseYaw": _yaw(detection),
        "Sharpness": float(np.log1p(cv2.Laplacian(crop, cv2.CV_32F).var())),
        "UnderExposurePrevention": float((crop < 25).mean()),
        "OverExposurePrevention": float((crop > 247).mean()),
        "DynamicRange": _entropy(crop),
    }
    measures = tuple(QualityMeasure(name, value, _scalar(value, *SCALES[name])) for name, value in raw.items())
    least = LEAST[use]
    short = sorted((m.scalar - least[m.name], m.name) for m in measures if m.name in least and m.scalar < least[m.name])
    lowest = sorted(measure.scalar for measure in measures)[:2]
    return Quality(round(float(np.mean(lowest))), measures, tuple(name for _, name in short))


def _crop(image: Image, detection: Detection) -> NDArray[np.uint8]:
    matrix = similarity(detection.landmarks, CROP_LANDMARKS)
    cut = cv2.warpAffine(image, matrix, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), np.uint8)


def _inter_eye_distance(detection: Detection) -> float:
    """Give the distance of the eyes in pixels."""
    return float(np.linalg.norm(detection.landmarks[1] - detection.landmarks[0]))


def _yaw(detection: Detection) -> float:
    """Give how far the nose has left the middle between the eyes, in eye distances; 0 is frontal."""
    left, right, nose = detection.landmarks[:3]
    across = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    return float(abs(np.dot(nose - (left + right) / 2, across)) / max(_inter_eye_distance(detection), 1e-6))


def _entropy(crop: NDArray[np.uint8]) -> float:
    """Give the Shannon entropy of the grey levels, in bits."""
    shares = np.bincount(crop.ravel(), minlength=256) / crop.size
    return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())


def _scalar(value: float, zero: float, hundred: float) -> int:
    return round(100 * float(np.clip((value - zero) / (hundred - zero), 0, 1)))
