"""The rates after treatments, on painted faces. Their engine refuses dark faces and does not find turned ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Detection, Face, Image, Quality, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.measures import RECOGNISABILITY
from likeness.errors import SetupError
from likeness.evaluation.data_set import DataSet, read_folder
from likeness.evaluation.recognition.comparison import count_errors_between
from likeness.evaluation.recognition.conditions import (
    Analysis,
    RefusedPhotos,
    choose_photos,
    extract_conditions,
    measure_conditions,
)
from likeness.evaluation.recognition.outcomes import FailureToAcquire
from likeness.evaluation.recognition.template_cache import TemplateCache
from likeness.evaluation.recognition.treatments import AS_IT_IS, TREATMENTS

TABLE = {name: TREATMENTS[name] for name in (AS_IT_IS, "noise 15", "dark 1/40")}
THRESHOLDS = FakeEngine.calibration.thresholds


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder = tmp_path_factory.mktemp("faces")
    for person in range(8):
        for shot in range(1 + person % 3):
            file = folder / f"P{person}" / f"{shot}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(fake_photo(person, variation=shot, size=(200, 150), format="PNG"))
    return read_folder(folder)


def all_alike(
    image: NDArray[np.uint8], _landmarks: NDArray[np.float32], _generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Replace every face by the same one, which covers and blurs nearly do."""
    return FakeEngine().decode(fake_photo(77, size=image.shape[1::-1], format="PNG"))


def test_photos_are_chosen_two_a_person_those_of_whom_there_are_two_first(faces: DataSet) -> None:
    chosen = choose_photos(faces, 100)
    people = [faces.person_of[index] for index in chosen]
    assert len(set(chosen)) == len(chosen) == 8 + 5
    assert max(people.count(person) for person in people) == 2
    assert all(people.count(person) == 2 for person in people[:10])
    assert choose_photos(faces, 4) == chosen[:4]


def test_what_is_refused_what_is_accepted_and_what_matches_then(faces: DataSet) -> None:
    table = TABLE | {"all alike": all_alike}
    found = extract_conditions(Analysis(FakeEngine()), faces, photos=choose_photos(faces, 100), table=table, workers=2)
    rows = {row.condition: row for row in measure_conditions(found, THRESHOLDS)}
    assert list(rows) == list(table)
    plain, noise, dark, alike = rows.values()
    assert (plain.photos, plain.failure_to_acquire.errors, plain.failures) == (13, 0, {})
    assert (dark.failure_to_acquire.value, dark.failures) == (1.0, {"LOW_QUALITY: UnderExposurePrevention": 13})
    assert dark.alike[4].fmr.comparisons == 0
    assert [noise.holds(level) for level in (1, 2, 3, 4, 5)] == [True] * 5
    assert noise.against_clean[4].fnmr.value == 0
    # Five people have two of the 13 photos each, so 5 of the 78 pairs are genuine.
    assert (alike.alike[4].fmr.errors, alike.alike[4].fmr.comparisons) == (73, 73)
    assert not any(alike.holds(level) for level in (1, 2, 3, 4, 5))
    assert alike.against_clean[4].fmr.errors == 0
    assert alike.against_clean[0].fnmr.comparisons == 10


def test_every_measure_that_refuses_a_photo_is_counted_that_of_the_recogniser_too(faces: DataSet) -> None:
    class Knowing(FakeEngine):
        """Stands for a recogniser that hardly recognises photos 0 to 9 of those that it measures."""

        measured = 0

        def measure(self, image: Image, detection: Detection, *, use: Use) -> Quality:
            quality = super().measure(image, detection, use=use)
            Knowing.measured += 1
            return replace(quality, reasons=(*quality.reasons, RECOGNISABILITY)) if Knowing.measured <= 10 else quality

    found = extract_conditions(Analysis(Knowing()), faces, photos=choose_photos(faces, 100), table=TABLE)
    plain, _, dark = measure_conditions(found, THRESHOLDS)
    assert plain.refusals == {}
    assert dark.refusals == {"UnderExposurePrevention": RefusedPhotos(13, 3), RECOGNISABILITY: RefusedPhotos(10, 0)}
    assert dark.failures == {"LOW_QUALITY: UnderExposurePrevention": 13}
    assert Knowing.measured == 13


def test_photos_that_are_refused_as_they_are_are_left_out(faces: DataSet, tmp_path: Path) -> None:
    for person in range(3):
        for shot in range(2):
            file = tmp_path / f"P{person}" / f"{shot}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(fake_photo(person, variation=shot, dim=shot == 1, size=(200, 150), format="PNG"))
    data_set = read_folder(tmp_path)
    found = extract_conditions(Analysis(FakeEngine()), data_set, photos=range(6), table=TABLE)
    assert found.photos == (0, 2, 4)
    with pytest.raises(SetupError, match="Too few photos"):
        extract_conditions(Analysis(FakeEngine()), data_set, photos=(1, 3, 5), table=TABLE)


def test_what_is_known_is_not_looked_at_again(faces: DataSet, tmp_path: Path) -> None:
    class Counting(FakeEngine):
        looks = 0

        def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
            Counting.looks += 1
            return super().analyse(photo, use=use, policy=policy)

    steps = []
    photos = choose_photos(faces, 6)
    for _ in range(2):
        cache = TemplateCache.open(tmp_path, pack="fake@1", binding="")
        found = extract_conditions(
            Analysis(Counting()),
            faces,
            photos=photos,
            table=TABLE,
            cache=cache,
            progress=lambda *step: steps.append(step),
        )
    assert Counting.looks == 6 * (1 + len(TABLE))
    assert steps == [(step, 6) for step in range(1, 7)] * 2
    assert all(isinstance(outcome, FailureToAcquire) for outcome in found.outcomes["dark 1/40"])


def test_rates_between_two_sets_are_those_of_every_pair() -> None:
    generator = np.random.default_rng(5)
    rows, others = (generator.standard_normal((size, 4)).astype(np.float32) for size in (7, 9))
    rows, others = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (rows, others))
    others_people = generator.integers(0, 4, 9)
    people = others_people[:7]
    same_photo = np.eye(7, 9, dtype=bool)
    counted = count_errors_between(rows, others, people, others_people, same_photo, [0.3])
    expected = {name: np.zeros(4, int) for name in ("genuine", "missed", "impostor", "matched")}
    for i in range(7):
        for j in range(9):
            reached = float(rows[i] @ others[j]) >= 0.3
            if i == j:
                continue
            if people[i] == others_people[j]:
                expected["genuine"][people[i]] += 1
                expected["missed"][people[i]] += not reached
            else:
                for person in (people[i], others_people[j]):
                    expected["impostor"][person] += 1
                    expected["matched"][person] += reached
    assert counted.impostor.tolist() == expected["impostor"].tolist()
    assert counted.false_matches[:, 0].tolist() == expected["matched"].tolist()
    assert counted.genuine.tolist() == expected["genuine"].tolist()
    assert counted.false_non_matches[:, 0].tolist() == expected["missed"].tolist()
