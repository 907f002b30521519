"""Quality measures of ISO/IEC 29794-5 that can be computed from five landmarks and the pixels.

The measures have the standard's names and form: a raw value, and a scalar in 0..100 where higher is better. The
computation is our own: geometry from five landmarks, light from the pixels, and defects from a network
(``likeness.engine.quality.defects``). Pixels are measured on a small aligned crop of the inner face, so neither the
photo's size nor the head's roll matters. ``RULES`` is the one table of scales, thresholds and weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from likeness.engine.alignment import Points, similarity
from likeness.engine.base import Detection, Image, Quality, QualityMeasure, Use
from likeness.engine.photo.resampling import warp
from likeness.engine.quality.defects import DefectFinder


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """A measure's scale, its weight, and the least scalar for each use; 0 refuses no photo."""

    zero: float
    """The raw value that scores 0."""
    hundred: float
    """The raw value that scores 100. Between the two, the scalar is linear."""
    weight: float = 0.0
    """The exponent of the measure in the unified score."""
    enrol: int = 0
    id_photo: int = 0
    probe: int = 0

    def scalar(self, raw: float) -> float:
        """Return the scalar of a raw value, in 0..100."""
        return 100 * min(max((raw - self.zero) / (self.hundred - self.zero), 0.0), 1.0)

    def least(self, use: Use) -> int:
        """Return the least scalar that a use accepts."""
        return {Use.ENROL: self.enrol, Use.ID_PHOTO: self.id_photo, Use.PROBE: self.probe}[use]


RECOGNISABILITY = "Recognisability"
"""A measure of our own: the length of the recogniser's output, divided by the usual one. No pixel is measured."""

RULES = MappingProxyType(
    {
        "InterEyeDistance": MeasureRule(8, 40, weight=1.0, enrol=25, id_photo=12, probe=6),
        "HeadSize": MeasureRule(0.02, 0.2),
        "HeadPoseYaw": MeasureRule(0, 1, weight=0.2, enrol=20, id_photo=12, probe=8),
        "HeadPosePitch": MeasureRule(0, 1, weight=0.5, enrol=25, id_photo=12, probe=8),
        "HeadPoseRoll": MeasureRule(0, 1),
        "UnderExposurePrevention": MeasureRule(1, 0, weight=0.2, enrol=10, id_photo=4, probe=2),
        "DynamicRange": MeasureRule(4, 7, weight=0.2, enrol=15, id_photo=8, probe=5),
        "IlluminationUniformity": MeasureRule(0, 0.7, weight=0.1),
        "LeftwardCropOfTheFaceImage": MeasureRule(0, 0.9, enrol=20, id_photo=5, probe=5),
        "RightwardCropOfTheFaceImage": MeasureRule(0, 0.9, enrol=20, id_photo=5, probe=5),
        "MarginAboveOfTheFaceImage": MeasureRule(0, 0.9, enrol=20, id_photo=10, probe=10),
        "MarginBelowOfTheFaceImage": MeasureRule(0, 1.4, enrol=60, id_photo=50, probe=50),
        # From the network's log-odds. Scalar 25: a defect is as likely as none; 38: a third as likely; 12: three times.
        "Sharpness": MeasureRule(2, -6, weight=0.2, enrol=38, id_photo=31, probe=31),
        "CompressionArtifacts": MeasureRule(2, -6, weight=0.1, enrol=25, id_photo=12, probe=12),
        "MouthOcclusionPrevention": MeasureRule(2, -6, weight=0.1, enrol=38, id_photo=25, probe=25),
        "EyesVisible": MeasureRule(2, -6, weight=0.4, enrol=38, id_photo=25, probe=25),
        "FaceOcclusionPrevention": MeasureRule(2, -6, weight=0.1, enrol=38, id_photo=25, probe=25),
        "NaturalColour": MeasureRule(2, -6, weight=0.1, enrol=25, id_photo=12, probe=12),
        "OverExposurePrevention": MeasureRule(2, -6, weight=0.6, enrol=25, id_photo=12, probe=12),
        "PixelAspectRatio": MeasureRule(2, -6, weight=0.1, enrol=38, id_photo=25, probe=25),
        RECOGNISABILITY: MeasureRule(0.6, 1, weight=1.0, enrol=39, id_photo=20, probe=20),
    }
)
"""The rule of each measure. Thresholds refuse photos that cannot be used, and hardly any ordinary press photo.

As in the standard, the squared cosine of an angle rates the head's pose. Roll has no threshold and no weight, because
alignment corrects it. The weights were fitted to predict failing comparisons, on half of the people of the calibration
set. They were checked on the other half (docs/accuracy.md).
"""

CROP_SIDE = 76
_LANDMARKS = np.array([(20.3, 23.7), (55.5, 23.5), (38.0, 43.7), (23.5, 64.4), (52.7, 64.2)], np.float32)
"""Places of the five landmarks on the crop, in pixels. The crop then shows the face from brow to chin."""
_BEYOND_THE_PHOTO = (128, 128, 128)

_HEAD = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0, 0.6, 0.45), (-0.4, 1.12, 0.08), (0.4, 1.12, 0.08)])
"""The landmarks of an average head, in eye distances: x to the image's right, y down, z towards the camera."""
_CENTRED_HEAD = _HEAD - _HEAD.mean(axis=0)
_FROM_LANDMARKS = np.linalg.pinv(_CENTRED_HEAD)

_DARK = 25
"""The highest grey level of an under-exposed pixel (ISO/IEC 29794-5, under-exposure prevention)."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """The head's angles in degrees.

    Yaw is positive towards the image's right. Pitch is positive with the chin up. Roll is positive clockwise.
    """

    yaw: float
    pitch: float
    roll: float


def assess(image: Image, detection: Detection, finder: DefectFinder, *, use: Use) -> Quality:
    """Measure a face, and name the measures that are too low for this use, worst first.

    The unified score is the product of the scalars (as fractions), each raised to the power of its weight.
    """
    crop = cut_crop(image, detection.landmarks)
    return _rate({**_geometry(image, detection.landmarks), **_light(crop), **finder.find(crop)}, use)


def with_length(quality: Quality, length: float, *, use: Use) -> Quality:
    """Add the measure that a template gives: the length of the recogniser's output, divided by the usual one."""
    own = _rate({RECOGNISABILITY: length}, use)
    score = round(quality.score * own.score / 100)
    return Quality(score, (*quality.measures, *own.measures), (*quality.reasons, *own.reasons))


def in_focus(image: Image, detection: Detection, finder: DefectFinder) -> bool:
    """Whether a face is sharp enough to be a probe."""
    rule = RULES["Sharpness"]
    return rule.scalar(finder.find(cut_crop(image, detection.landmarks))["Sharpness"]) >= rule.least(Use.PROBE)


def estimate_pose(landmarks: Points) -> HeadPose:
    """Estimate the head's angles from five landmarks (5, 2), with a scaled orthographic projection.

    The pose is the rotation nearest to the linear camera that fits an average head to the landmarks. Its error is about
    ten degrees, because heads differ. Source: D. DeMenthon, L. Davis, "Model-based object pose in 25 lines of code",
    1995 (its POS step).
    """
    centred = landmarks.astype(np.float64) - landmarks.mean(axis=0, dtype=np.float64)
    camera = (_FROM_LANDMARKS @ centred).T
    turned, _, axes = np.linalg.svd(camera, full_matrices=False)
    return pose_of(*(turned @ axes).tolist())


def pose_of(image_x: Sequence[float], image_y: Sequence[float]) -> HeadPose:
    """Return a head's angles. Each argument (3,) gives the components of an image axis along the head's three axes.

    The head's axes point right, down and towards the camera.
    """
    (right_x, right_y, right_z), (down_x, down_y, down_z) = image_x, image_y
    # The third axis is the cross product of the other two.
    forward_x = right_y * down_z - right_z * down_y
    forward_y = right_z * down_x - right_x * down_z
    forward_z = right_x * down_y - right_y * down_x
    return HeadPose(
        yaw=math.degrees(math.atan2(-forward_x, forward_z)),
        pitch=math.degrees(math.asin(min(max(forward_y, -1.0), 1.0))),
        roll=math.degrees(math.atan2(-right_y, down_y)),
    )


def squared_cosine(angle: float) -> float:
    """Rate an angle of the head, in degrees, as the standard does: 1 at 0 degrees, 0 at 90 degrees."""
    return math.cos(math.radians(angle)) ** 2


def _rate(raw: Mapping[str, float], use: Use) -> Quality:
    """Rate the measures of these names by their raw values."""
    measures, short, score = [], [], 1.0
    for name, rule in RULES.items():
        if name not in raw:
            continue
        value = raw[name]
        scalar = rule.scalar(squared_cosine(value) if name.startswith("HeadPose") else value)
        measures.append(QualityMeasure(name, round(value, 3), round(scalar)))
        score *= max(scalar / 100, 0.01) ** rule.weight
        if scalar < rule.least(use):
            short.append((scalar / rule.least(use), name))
    return Quality(round(100 * score), tuple(measures), tuple(name for _, name in sorted(short)))


def _geometry(image: Image, landmarks: Points) -> dict[str, float]:
    """Measure the face's place, size and pose.

    Distances to the photo's edges follow the face's own axes, so a photo turned by 90 degrees has the same values.
    """
    pose = estimate_pose(landmarks)
    left, right, _, mouth_left, mouth_right = landmarks.tolist()
    eyes = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    mouth = ((mouth_left[0] + mouth_right[0]) / 2, (mouth_left[1] + mouth_right[1]) / 2)
    # On a turned head the eyes are nearer to each other in the image; the standard corrects that.
    eye_distance = max(math.dist(left, right) / max(math.cos(math.radians(pose.yaw)), 0.5), 1e-6)
    eye_to_mouth = max(math.dist(eyes, mouth), 1e-6)
    cosine, sine = math.cos(math.radians(pose.roll)), math.sin(math.radians(pose.roll))
    above, below = _to_edge(image, eyes, (sine, -cosine)), _to_edge(image, eyes, (-sine, cosine))
    return {
        "InterEyeDistance": eye_distance,
        "HeadSize": eye_to_mouth / max(above + below, 1e-6),
        "HeadPoseYaw": pose.yaw,
        "HeadPosePitch": pose.pitch,
        "HeadPoseRoll": pose.roll,
        "LeftwardCropOfTheFaceImage": _to_edge(image, left, (-cosine, -sine)) / eye_distance,
        "RightwardCropOfTheFaceImage": _to_edge(image, right, (cosine, sine)) / eye_distance,
        "MarginAboveOfTheFaceImage": above / eye_to_mouth,
        "MarginBelowOfTheFaceImage": below / eye_to_mouth,
    }


def _to_edge(image: Image, point: Sequence[float], direction: tuple[float, float]) -> float:
    """Return the distance from a point to the photo's edge in a direction, or 0 for a point outside the photo."""
    height, width = image.shape[:2]
    reach = math.inf
    for at, size, step in zip(point, (width, height), direction, strict=True):
        if not 0 <= at <= size:
            return 0.0
        if abs(step) > 1e-9:
            reach = min(reach, ((size - at) if step > 0 else at) / abs(step))
    return reach


def cut_crop(image: Image, landmarks: Points) -> Image:
    """Cut out the upright face from brow to chin, as (side, side, 3). Pixels outside the photo are grey."""
    cut = np.empty((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    warp(image, similarity(landmarks, _LANDMARKS), cut, border=_BEYOND_THE_PHOTO)
    return cut


def _light(crop: Image) -> dict[str, float]:
    """Measure the light on the crop."""
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
    fractions = np.bincount(grey.ravel(), minlength=256) / grey.size
    seen = fractions[fractions > 0]
    left, right = (np.bincount(half.ravel() >> 4, minlength=16) / half.size for half in np.hsplit(grey, 2))
    return {
        "UnderExposurePrevention": float(fractions[: _DARK + 1].sum()),
        "DynamicRange": float(-(seen * np.log2(seen)).sum()),
        "IlluminationUniformity": float(np.minimum(left, right).sum()),
    }
