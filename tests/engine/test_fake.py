from typing import Literal

import numpy as np
import pytest

from likeness.engine.base import Use
from likeness.engine.fake import FakeEngine, FakePerson, fake_photo, fake_scene
from likeness.engine.policy import FacePolicy
from likeness.errors import LowQuality, MultipleFaces, NoFace

ENGINE = FakeEngine()


def template(photo: bytes) -> np.ndarray:
    return ENGINE.analyse(photo, use=Use.PROBE).template


def test_the_same_picture_gives_the_same_unit_template() -> None:
    first, second = template(fake_photo(1)), template(fake_photo(1))
    assert np.array_equal(first, second)
    assert np.linalg.norm(first) == pytest.approx(1)
    assert first.shape == (ENGINE.pack.template_size,)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("variation", [0, 1, 2])
def test_other_shots_of_a_person_match_and_strangers_do_not(form: Literal["JPEG", "PNG"], variation: int) -> None:
    shot = template(fake_photo(1, variation=variation, format=form))
    assert ENGINE.calibration.level(float(template(fake_photo(1)) @ shot)) == 5
    assert max(float(template(fake_photo(stranger)) @ shot) for stranger in range(2, 30)) < 0.4


@pytest.mark.parametrize(("score", "level"), [(0.35, 0), (0.45, 1), (0.55, 2), (0.65, 3), (0.75, 4), (0.85, 5)])
def test_a_photo_can_be_painted_for_each_level(score: float, level: int) -> None:
    for person in range(5):
        measured = float(template(fake_photo(person)) @ template(fake_photo(person, score=score)))
        assert measured == pytest.approx(score, abs=0.03)
        assert ENGINE.calibration.level(measured) == level


@pytest.mark.parametrize(
    ("photo", "error"),
    [(fake_photo(1, faces=0), NoFace), (fake_photo(1, faces=2), MultipleFaces), (fake_photo(1, dim=True), LowQuality)],
)
def test_refusals(photo: bytes, error: type[LowQuality] | type[MultipleFaces] | type[NoFace]) -> None:
    with pytest.raises(error):
        template(photo)


def test_a_clear_subject_is_chosen_unless_the_policy_is_single() -> None:
    scene = fake_scene([FakePerson(1, (0.3, 0.5), 0.5), FakePerson(2, (0.8, 0.5), 0.2)])
    assert float(template(fake_photo(1)) @ template(scene)) > 0.9
    with pytest.raises(MultipleFaces):
        ENGINE.analyse(scene, use=Use.PROBE, policy=FacePolicy.SINGLE)


def test_an_attack_scores_low() -> None:
    for attack, live in ((True, False), (False, True)):
        image = ENGINE.decode(fake_photo(3, attack=attack))
        (detection,) = ENGINE.detect(image)
        assert (ENGINE.live_scores(image, detection).by_model["fake"] > 0.5) is live


def test_any_other_photo_counts_as_one_face() -> None:
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    assert len(ENGINE.detect(image)) == 1
    assert ENGINE.detect(image, minimum_face_pixels=150) == []
