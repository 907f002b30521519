import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection, Engine, Quality, QualityMeasure, Use
from likeness.engine.photo.decoding import decode
from likeness.engine.quality.defects import DEFECTS, DefectFinder
from likeness.engine.quality.measures import RECOGNISABILITY, RULES, HeadPose, MeasureRule, estimate_pose, with_length
from likeness.engine.quality.measures import assess as assess_with
from likeness.engine.runtime import Network
from likeness.evaluation.data_set import read_folder

FRONTAL = np.array([(80, 100), (120, 100), (100, 124), (84, 144.8), (116, 144.8)], np.float32)
HEAD = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0, 0.6, 0.45), (-0.4, 1.12, 0.08), (0.4, 1.12, 0.08)])


FINDER = DefectFinder.load(Network)


def assess(image: NDArray[np.uint8], face: Detection, *, use: Use) -> Quality:
    return assess_with(image, face, FINDER, use=use)


def scene(seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture with detail at every scale, like a photo."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((250, 200))
    for cells in (4, 8, 16, 32, 64, 128):
        layer = generator.standard_normal((cells, cells))
        picture += (
            np.asarray(cv2.resize(layer, (200, 250), interpolation=cv2.INTER_CUBIC), np.float64) * 30 / math.sqrt(cells)
        )
    return np.repeat(np.clip(130 + 2 * picture, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def face_at(landmarks: NDArray[np.float32] | NDArray[np.float64]) -> Detection:
    points = np.asarray(landmarks, np.float32)
    return Detection(Box(*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()), points, 0.99)


def measured(
    image: NDArray[np.uint8], landmarks: NDArray[np.float32] | NDArray[np.float64] = FRONTAL, use: Use = Use.ENROL
) -> dict[str, QualityMeasure]:
    quality = assess(image, face_at(landmarks), use=use)
    return {measure.name: measure for measure in quality.measures}


def turned_head(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, size: float = 40.0) -> NDArray[np.float32]:
    """Return the landmarks of the average head after a rotation, in orthographic projection."""
    a, b, c = (math.radians(angle) for angle in (yaw, -pitch, roll))
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return ((about_z @ about_x @ about_y @ HEAD.T).T[:, :2] * size + (100, 110)).astype(np.float32)


def test_a_short_output_lowers_the_score_and_refuses_an_enrolment() -> None:
    pixels = Quality(90, (QualityMeasure("Sharpness", -9.0, 100),))
    assert with_length(pixels, 1.1, use=Use.ENROL).score == 90
    short = with_length(pixels, 0.7, use=Use.ENROL)
    assert (short.score, short.reasons) == (22, (RECOGNISABILITY,))
    assert short.measures == (*pixels.measures, QualityMeasure(RECOGNISABILITY, 0.7, 25))
    assert with_length(pixels, 0.7, use=Use.PROBE).reasons == ()
    assert with_length(pixels, 0.65, use=Use.PROBE).reasons == (RECOGNISABILITY,)


def test_every_measure_is_reported_in_the_order_of_the_table() -> None:
    quality = assess(scene(), face_at(FRONTAL), use=Use.PROBE)
    assert [*(measure.name for measure in quality.measures), RECOGNISABILITY] == list(RULES)
    assert all(0 <= measure.scalar <= 100 for measure in quality.measures)
    assert 0 <= quality.score <= 100


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ({}, HeadPose(0, 0, 0)),
        ({"yaw": 40}, HeadPose(40, 0, 0)),
        ({"yaw": -60}, HeadPose(-60, 0, 0)),
        ({"pitch": 30}, HeadPose(0, 30, 0)),
        ({"pitch": -35}, HeadPose(0, -35, 0)),
        ({"roll": 25}, HeadPose(0, 0, 25)),
        ({"roll": 170}, HeadPose(0, 0, 170)),
    ],
)
def test_pose_of_the_common_head_is_found(angles: dict[str, int], expected: HeadPose) -> None:
    pose = estimate_pose(turned_head(**angles))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((expected.yaw, expected.pitch, expected.roll), abs=0.5)


def test_a_nose_to_the_right_is_a_positive_yaw_and_a_raised_one_a_positive_pitch() -> None:
    to_the_right, raised = FRONTAL.copy(), FRONTAL.copy()
    to_the_right[2, 0] += 12
    raised[2, 1] -= 12
    assert estimate_pose(to_the_right).yaw > 10
    assert estimate_pose(raised).pitch > 10


def test_darkness_is_reported() -> None:
    dark, plain = measured((scene().astype(np.float64) / 8).astype(np.uint8)), measured(scene())
    assert dark["UnderExposurePrevention"].scalar < plain["UnderExposurePrevention"].scalar
    assert dark["DynamicRange"].scalar < plain["DynamicRange"].scalar


def test_light_from_one_side_lowers_uniformity() -> None:
    image = scene().astype(np.float64)
    image[:, :100] *= 0.3
    assert (
        measured(image.astype(np.uint8))["IlluminationUniformity"].raw
        < 0.6 * measured(scene())["IlluminationUniformity"].raw
    )


def test_a_small_face_is_refused_for_enrolment_alone() -> None:
    small = (FRONTAL - 100) * 0.3 + 100
    assert "InterEyeDistance" in assess(scene(), face_at(small), use=Use.ENROL).reasons
    assert "InterEyeDistance" not in assess(scene(), face_at(small), use=Use.PROBE).reasons


def test_a_black_photo_is_refused_for_darkness_and_the_worst_reason_comes_first() -> None:
    quality = assess(np.zeros((250, 200, 3), np.uint8), face_at(FRONTAL), use=Use.PROBE)
    scalars = {
        measure.name: measure.scalar / RULES[measure.name].probe
        for measure in quality.measures
        if RULES[measure.name].probe
    }
    assert {"UnderExposurePrevention", "DynamicRange"} <= set(quality.reasons)
    assert [scalars[name] for name in quality.reasons] == sorted(scalars[name] for name in quality.reasons)


def test_a_face_at_the_edge_is_refused_on_the_side_that_is_cut() -> None:
    image = scene()
    for shift, name in [
        ((-79, 0), "LeftwardCropOfTheFaceImage"),
        ((79, 0), "RightwardCropOfTheFaceImage"),
        ((0, -98), "MarginAboveOfTheFaceImage"),
        ((0, 115), "MarginBelowOfTheFaceImage"),
    ]:
        quality = assess(image, face_at(FRONTAL + np.array(shift, np.float32)), use=Use.ENROL)
        assert name in quality.reasons, name


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_measures_the_same(turns: int) -> None:
    image = scene()
    height, width = image.shape[:2]
    points = FRONTAL.astype(np.float64)
    for _ in range(turns):
        points = np.stack([points[:, 1], width - 1 - points[:, 0]], axis=1)
        height, width = width, height
    upright, lying = (
        measured(np.asarray(image, np.uint8)),
        measured(np.ascontiguousarray(np.rot90(image, turns)), points),
    )
    for name in set(upright) - {"HeadPoseRoll", *DEFECTS}:
        assert lying[name].raw == pytest.approx(upright[name].raw, rel=0.06, abs=0.06), name
    assert abs(lying["HeadPoseRoll"].raw) == pytest.approx(180 if turns == 2 else 90, abs=0.1)


@pytest.mark.parametrize("use", Use)
def test_roll_refuses_nothing(use: Use) -> None:
    for roll in range(-180, 181, 30):
        reasons = assess(scene(), face_at(turned_head(roll=roll)), use=use).reasons
        assert not [name for name in reasons if name.startswith("HeadPose")], roll


def test_a_large_photo_of_the_same_face_measures_the_same() -> None:
    image = cv2.GaussianBlur(scene(), (0, 0), 1.5)
    large = np.asarray(cv2.resize(image, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC), np.uint8)
    small, big = measured(np.asarray(image, np.uint8)), measured(large, (FRONTAL + 0.5) * 6 - 0.5)
    for name in ("UnderExposurePrevention", "DynamicRange", "IlluminationUniformity"):
        assert big[name].raw == pytest.approx(small[name].raw, rel=0.1, abs=0.05), name
    assert big["InterEyeDistance"].raw == pytest.approx(6 * small["InterEyeDistance"].raw, rel=0.01)


def test_landmarks_that_fell_together_are_refused_not_a_crash() -> None:
    quality = assess(scene(), face_at(np.full((5, 2), 100.0)), use=Use.PROBE)
    assert "InterEyeDistance" in quality.reasons


def test_landmarks_beyond_the_photo_are_refused_not_a_crash() -> None:
    assert assess(scene(), face_at(FRONTAL + 1000), use=Use.PROBE).reasons


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_enrolment_asks_for_at_least_as_much_as_a_probe(rule: MeasureRule) -> None:
    assert rule.enrol >= rule.id_photo >= rule.probe >= 0
    assert rule.scalar(rule.zero) == 0
    assert rule.scalar(rule.hundred) == 100


@pytest.mark.data
def test_ordinary_press_photos_are_hardly_ever_refused(data: Path, engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("builtin")
    folder = read_folder(data / "faces" / "lfw")
    refused = 0
    photos = folder.photos[::48]
    for photo in photos:
        image = decode((folder.folder / photo).read_bytes())
        faces = engine.detect(image, minimum_face_pixels=50)
        refused += bool(assess(image, faces[0], use=Use.ENROL).reasons)
    assert refused <= 0.01 * len(photos)
