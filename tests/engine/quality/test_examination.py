import io
from collections.abc import Iterable
from typing import Any, cast

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from likeness.engine.base import Engine, QualityMeasure, Use
from likeness.engine.fake import FakeEngine, FakePerson, fake_photo, fake_scene
from likeness.engine.landmarks import FaceLandmarks, LandmarkEstimator
from likeness.engine.photo.decoding import decode
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.examination import examine
from likeness.engine.quality.measures import RULES
from likeness.errors import MultipleFaces, NoFace


class Landmarks:
    """A stub of the estimator: the eyes are always 40 pixels apart in the picture."""

    def __init__(self, presence: float) -> None:
        self.presence = presence

    def estimate(self, *_: Any) -> FaceLandmarks:
        points = np.zeros((478, 3), np.float32)
        points[[33, 133], 0], points[[263, 362], 0], points[152, 1] = -20, 20, 40
        return FaceLandmarks(points, self.presence)


def estimator(presence: float) -> LandmarkEstimator:
    return cast("LandmarkEstimator", Landmarks(presence))


def raw(measures: Iterable[QualityMeasure]) -> dict[str, float]:
    return {measure.name: measure.raw for measure in measures}


def test_a_photo_that_would_be_refused_is_measured() -> None:
    examined = examine(FakeEngine(), None, fake_photo(1, dim=True), use=Use.PROBE)
    assert examined.quality.reasons == ("UnderExposurePrevention",)
    assert examined.quality.score < 50
    assert (examined.landmark_measures, examined.presence) == ((), None)
    assert list(raw(examined.published_measures)) == ["LuminanceMean", "LuminanceVariance", "SingleFacePresent"]


def test_landmarks_add_their_measures() -> None:
    examined = examine(FakeEngine(), estimator(0.8), fake_photo(1), use=Use.PROBE)
    assert raw(examined.landmark_measures)["InterEyeDistance"] == pytest.approx(40)
    assert examined.presence == 0.8


def test_landmarks_of_no_face_say_nothing() -> None:
    examined = examine(FakeEngine(), estimator(0.3), fake_photo(1), use=Use.PROBE)
    assert (examined.landmark_measures, examined.presence) == ((), 0.3)


def test_no_face_and_several_faces_are_refused() -> None:
    with pytest.raises(NoFace):
        examine(FakeEngine(), None, fake_photo(1, faces=0), use=Use.PROBE)
    scene = fake_scene([FakePerson(1, (0.3, 0.5), 0.5), FakePerson(2, (0.8, 0.5), 0.2)])
    assert examine(FakeEngine(), None, scene, use=Use.PROBE).quality.score > 50
    with pytest.raises(MultipleFaces):
        examine(FakeEngine(), None, scene, use=Use.PROBE, policy=FacePolicy.SINGLE)


def test_distances_are_in_pixels_of_the_photo(builtin: Engine, astronaut: bytes) -> None:
    portrait = decode(astronaut)
    found = {}
    for factor in (1, 6):
        stored = io.BytesIO()
        resized = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        Pillow.fromarray(resized).save(stored, "JPEG", quality=92)
        reduction = builtin.locate(stored.getvalue()).reduction
        found[factor] = reduction, examine(builtin, estimator(0.9), stored.getvalue(), use=Use.PROBE)
    (_, small), (reduction, large) = found[1], found[6]
    assert reduction > 1
    assert list(raw(small.quality.measures)) == list(RULES)
    assert raw(large.quality.measures)["InterEyeDistance"] == pytest.approx(
        6 * raw(small.quality.measures)["InterEyeDistance"], rel=0.05
    )
    assert raw(large.landmark_measures)["InterEyeDistance"] == pytest.approx(40 * reduction)
