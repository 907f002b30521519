"""Measurements on one frame: the face's place, its pose, its light, and the quality of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Detection, Image
from likeness.kit.arrays import FloatArray
from likeness.liveness.base import Frame, Hint, Oval, StatusCode
from likeness.liveness.frame import chart as charts
from likeness.liveness.frame.chart import Chart
from likeness.liveness.thresholds import Guidance

LINEAR = ((np.arange(256, dtype=np.float32) + np.float32(0.5)) / 256) ** np.float32(2.2)
"""Linear light of each sRGB byte, never zero."""
LIGHT_SHAPE = (24, 20)
"""Rows and columns of ``FaceView.light``. One cell is 1/7 of the eye distance."""
_SURROUNDINGS_WIDTH = 80
_OVAL_WIDTH, _OVAL_HEIGHT = 2.35, 3.3
"""Width and height of a head, in eye distances."""
_BESIDE = 1.5, 2.9
"""Half the width and height of an ellipse around a head and its hair, in eye distances. Outside it is the room. A
phone's upright frame shows most of the room in the two corners above the head."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceView:
    """The measured face of a frame.

    Lengths are in eye distances unless the name has another unit. Positive offsets are to the image's right.
    """

    detection: Detection
    eye_distance_pixels: float
    centre_x: float
    centre_y: float
    """The point between eyes and mouth, in pixels."""
    yaw: float
    """The nose's offset from the middle. It is positive if the person looks to their own left."""
    pitch: float
    """The nose's place between the eyes (0) and the mouth (1)."""
    roll_degrees: float
    """It is positive if the person leans to their own left."""
    chart: Chart
    brightness: float
    sharpness: float
    light: FloatArray
    """(24, 20, 3) linear light of the face in chart layout."""
    surroundings: Image
    """The whole frame, 80 pixels wide."""
    beside: NDArray[np.bool_]
    """The pixels of ``surroundings`` beside the head and above the shoulders that are neither clipped nor black."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """A frame with its measured face. ``face`` is None if no face was detected."""

    frame: Frame
    faces: int
    """The number of faces that are large enough to count."""
    face: FaceView | None

    @property
    def at_seconds(self) -> float:
        return self.frame.received_at_seconds

    @property
    def size(self) -> tuple[int, int]:
        return self.frame.image.shape[1], self.frame.image.shape[0]


def measure_frame(frame: Frame, detections: Sequence[Detection], limits: Guidance) -> Observation:
    """Measure a frame. The first of its detections is the largest."""
    if not detections:
        return Observation(frame, 0, None)
    counted = [found for found in detections if found.box.area >= limits.second_face * detections[0].box.area]
    return Observation(frame, len(counted), _view(frame, detections[0]))


def _view(frame: Frame, detection: Detection) -> FaceView:
    points = detection.landmarks.astype(np.float64)
    eyes, mouth = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    across, down = points[1] - points[0], mouth - eyes
    # A turn shortens the distance between the eyes, and a nod shortens that from eyes to mouth. The larger is the size.
    size = max(float(np.hypot(*across)), 0.95 * float(np.hypot(*down)), 1.0)
    axis = across / max(float(np.hypot(*across)), 1e-6)
    upright = np.array((-axis[1], axis[0]))
    nose = points[2] - (eyes + mouth) / 2
    centre = (eyes + mouth) / 2
    chart = charts.cut_chart(frame.image, detection.landmarks)
    inner = chart.pixels[40:168, 32:128]
    grey = cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(chart.pixels, (LIGHT_SHAPE[1], LIGHT_SHAPE[0]), interpolation=cv2.INTER_AREA)
    step = frame.image.shape[1] / _SURROUNDINGS_WIDTH
    surroundings = np.asarray(
        cv2.resize(
            frame.image, (_SURROUNDINGS_WIDTH, round(frame.image.shape[0] / step)), interpolation=cv2.INTER_AREA
        ),
        np.uint8,
    )
    return FaceView(
        detection,
        size,
        float(centre[0]),
        float(centre[1]),
        float(nose @ axis) / size,
        float((points[2] - eyes) @ upright) / max(float(down @ upright), 1.0),
        float(np.degrees(np.arctan2(across[1], across[0]))),
        chart,
        float(grey.mean()),
        float(np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F)).mean()),
        np.asarray(cv2.LUT(small, LINEAR), np.float32),
        surroundings,
        _beside(surroundings, step, (float(centre[0]), float(centre[1])), float(eyes[1] + size), size),
    )


def _beside(
    small: Image, step: float, centre: tuple[float, float], lowest: float, eye_distance: float
) -> NDArray[np.bool_]:
    columns, rows = ((np.arange(size) + 0.5) * step / eye_distance for size in (small.shape[1], small.shape[0]))
    across, down = (columns - centre[0] / eye_distance) / _BESIDE[0], (rows - centre[1] / eye_distance) / _BESIDE[1]
    outside = (across[None, :] ** 2 + down[:, None] ** 2 > 1) & (rows < lowest / eye_distance)[:, None]
    return np.asarray(outside & (small.max(axis=2) < 250) & (small.min(axis=2) > 4))


def oval(size: tuple[int, int], scale: float) -> Oval:
    """Return the oval for a face with an eye distance of ``scale`` times the frame's shorter side."""
    width, height = size
    eye_distance = scale * min(width, height)
    return Oval(width / 2, height / 2, _OVAL_WIDTH * eye_distance, _OVAL_HEIGHT * eye_distance)


def guide(
    seen: Observation, scale: float, limits: Guidance, *, tolerance: float = 1.0
) -> tuple[StatusCode, Hint | None] | None:
    """Return guidance for a frame that cannot be judged, or None for a good frame.

    The most helpful guidance comes first. Light is before place, because no face is found in the dark. Place is before
    distance, because a person who comes closer at the edge leaves the picture. ``scale`` is the wanted eye distance as
    a fraction of the frame's shorter side. ``tolerance`` > 1 widens the limits of place and pose, so that guidance does
    not alternate for a person at a limit.
    """
    face = seen.face
    if face is None:
        brightness = float(seen.frame.image.mean())
        if brightness < limits.dark_picture:
            return StatusCode.FACE_DARK_ENVIRONMENT_DETECTED, None
        if brightness > limits.bright:
            return StatusCode.FACE_BRIGHT_ENVIRONMENT_DETECTED, None
        return StatusCode.FACE_NOT_DETECTED, None
    width, height = seen.size
    wanted = scale * min(width, height)
    ratio = face.eye_distance_pixels / wanted
    aside, below = face.centre_x - width / 2, face.centre_y - height / 2
    away = float(np.hypot(aside, below)) / max(face.eye_distance_pixels, wanted)
    faults = (
        (seen.faces > 1, StatusCode.FACE_MULTIPLE_FACES_DETECTED, None),
        (face.brightness < limits.dark, StatusCode.FACE_DARK_ENVIRONMENT_DETECTED, None),
        (face.brightness > limits.bright, StatusCode.FACE_BRIGHT_ENVIRONMENT_DETECTED, None),
        (away > limits.off_centre * tolerance, StatusCode.FACE_INCORRECT_POSITION_DETECTED, _way_back(aside, below)),
        (ratio < 1 - limits.scale_tolerance * tolerance, StatusCode.FACE_INCORRECT_DISTANCE_DETECTED, Hint.CLOSER),
        (ratio > 1 + limits.scale_tolerance * tolerance, StatusCode.FACE_INCORRECT_DISTANCE_DETECTED, Hint.FARTHER),
        (
            not is_frontal(face, limits, tolerance=tolerance),
            StatusCode.FACE_INCORRECT_POSE_DETECTED,
            Hint.LOOK_STRAIGHT,
        ),
        (face.sharpness < _least_sharpness(face.brightness, limits), StatusCode.FACE_BLUR_DETECTED, None),
    )
    return next(((status, hint) for present, status, hint in faults if present), None)


def _least_sharpness(brightness: float, limits: Guidance) -> float:
    """Return the least sharpness of a face. Detail is a fraction of the light, so a darker face shows less of it."""
    return limits.sharpness * min(brightness / limits.sharpness_brightness, 1.0)


def _way_back(aside: float, below: float) -> Hint:
    """Return the direction back from an offset in the image. The image's right is the person's left."""
    if abs(aside) >= abs(below):
        return Hint.RIGHT if aside > 0 else Hint.LEFT
    return Hint.UP if below > 0 else Hint.DOWN


def is_frontal(face: FaceView, limits: Guidance, *, tolerance: float = 1.0) -> bool:
    """Whether yaw, pitch and roll are within the limits. ``tolerance`` > 1 widens them by that factor."""
    low, high = limits.frontal_pitch
    margin = (high - low) * (tolerance - 1) / 2
    return (
        abs(face.yaw) <= limits.frontal_yaw * tolerance
        and low - margin <= face.pitch <= high + margin
        and abs(face.roll_degrees) <= limits.frontal_roll_degrees * tolerance
    )
