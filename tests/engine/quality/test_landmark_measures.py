import math

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import QualityMeasure
from likeness.engine.landmarks import FaceLandmarks
from likeness.engine.quality.landmark_measures import landmark_measures, landmark_pose

LEFT, RIGHT = (-50.0, 0.0), (50.0, 0.0)
"""The middles of the eyes. The chin is 100 below them, and the forehead is 60 above."""
TO_CHIN = 100.0
PLACES = {
    33: (-65, 0),
    133: (-35, 0),
    362: (35, 0),
    263: (65, 0),
    10: (0, -60),
    152: (0, 100),
}
LIDS = {(160, 144): -58, (159, 145): -50, (158, 153): -42, (385, 380): 42, (386, 374): 50, (387, 373): 58}
LIPS = {(81, 178): -10, (13, 14): 0, (311, 402): 10}


def face(
    *,
    left: float = 8.0,
    right: float = 8.0,
    mouth: float = 2.0,
    scale: float = 1.0,
    turn: NDArray[np.float64] | None = None,
) -> FaceLandmarks:
    """Return the landmarks of a head that looks straight ahead. Openings are in pixels before the scale."""
    points = np.zeros((478, 3))
    for index, place in PLACES.items():
        points[index, :2] = place
    for (upper, lower), x in LIDS.items():
        opening = left if x < 0 else right
        points[[upper, lower], 0] = x
        points[[upper, lower], 1] = (-opening / 2, opening / 2)
    for (upper, lower), x in LIPS.items():
        points[[upper, lower], 0] = x
        points[[upper, lower], 1] = (60 - mouth / 2, 60 + mouth / 2)
    # As on the median face, the forehead is nearer to the camera than the chin.
    points[152, 2] = 160 * math.tan(math.radians(6.8))
    if turn is not None:
        points = points @ turn.T
    return FaceLandmarks((points * scale + (200, 200, 0)).astype(np.float32), 0.99)


def measured(landmarks: FaceLandmarks) -> dict[str, QualityMeasure]:
    return {measure.name: measure for measure in landmark_measures(landmarks)}


def about(axis: int, degrees: float) -> NDArray[np.float64]:
    angle = math.radians(degrees)
    first, second = [index for index in range(3) if index != axis]
    turn = np.eye(3)
    turn[[first, second], [first, second]] = math.cos(angle)
    turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
    return turn


def test_every_measure_has_a_name_of_the_standard() -> None:
    assert list(measured(face())) == [
        "EyesOpen",
        "MouthClosed",
        "InterEyeDistance",
        "HeadPoseYaw",
        "HeadPosePitch",
        "HeadPoseRoll",
    ]


@pytest.mark.parametrize(("opening", "scalar"), [(0, 12), (1, 27), (2, 50), (3, 73), (8, 100)])
def test_eyes_are_rated_as_ofiq_rates_them(opening: float, scalar: int) -> None:
    found = measured(face(left=opening, right=opening))["EyesOpen"]
    assert found.raw == pytest.approx(opening / TO_CHIN)
    assert found.scalar == scalar


def test_the_eye_that_is_less_open_counts() -> None:
    assert measured(face(left=1))["EyesOpen"] == measured(face(right=1))["EyesOpen"]
    assert measured(face(left=1))["EyesOpen"].scalar < 50 < measured(face())["EyesOpen"].scalar


@pytest.mark.parametrize(("opening", "scalar"), [(0, 97), (14, 73), (20, 50), (26, 27), (60, 0)])
def test_the_mouth_is_rated_as_ofiq_rates_it(opening: float, scalar: int) -> None:
    found = measured(face(mouth=opening))["MouthClosed"]
    assert found.raw == pytest.approx(opening / TO_CHIN)
    assert found.scalar == scalar


@pytest.mark.parametrize(("pixels", "scalar"), [(30, 12), (70, 50), (90, 73), (200, 100)])
def test_the_distance_between_the_eyes_is_rated_as_ofiq_rates_it(pixels: float, scalar: int) -> None:
    found = measured(face(scale=pixels / 100))
    assert found["InterEyeDistance"].raw == pytest.approx(pixels, rel=1e-3)
    assert found["InterEyeDistance"].scalar == scalar
    assert found["EyesOpen"] == measured(face())["EyesOpen"]


def test_a_turned_head_has_its_eyes_as_far_apart() -> None:
    found = measured(face(turn=about(1, 40)))
    assert abs(found["HeadPoseYaw"].raw) == pytest.approx(40, abs=0.1)
    assert found["HeadPoseYaw"].scalar == pytest.approx(100 * math.cos(math.radians(40)) ** 2, abs=1)
    assert found["InterEyeDistance"].raw == pytest.approx(100, abs=0.5)


def test_angles_have_the_signs_of_the_five_landmarks() -> None:
    level = landmark_pose(face())
    assert (level.yaw, level.pitch, level.roll) == pytest.approx((0, 0, 0), abs=0.1)
    # When a head turns to the image's right, the eye on that side moves away from the camera.
    away = landmark_pose(face(turn=about(1, 30)))
    assert face(turn=about(1, 30)).points[263, 2] > 20
    assert away.yaw == pytest.approx(30, abs=0.1)
    assert (away.pitch, away.roll) == pytest.approx((0, 0), abs=0.1)
    # A raised chin is nearer to the camera.
    raised = face(turn=about(0, -20))
    assert raised.points[152, 2] < 0
    assert landmark_pose(raised).pitch == pytest.approx(20, abs=0.5)
    # A clockwise turn lowers the eye on the image's right.
    clockwise = face(turn=about(2, 25))
    assert clockwise.points[263, 1] > clockwise.points[33, 1]
    assert landmark_pose(clockwise).roll == pytest.approx(25, abs=0.5)


def test_landmarks_in_one_place_are_no_error() -> None:
    flat = FaceLandmarks(np.zeros((478, 3), np.float32), 0.1)
    assert all(math.isfinite(measure.raw) for measure in landmark_measures(flat))
