import numpy as np
import pytest

from evaluation.brute_force import unit_rows
from likeness.evaluation.recognition.several import MEAN_OF_SCORES, ONE_TEMPLATE, measure_several

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


def test_the_rates_are_those_of_pairs_computed_one_by_one() -> None:
    people = [person for person in range(6) for _ in range(person)]
    rows = unit_rows(np.random.default_rng(1), people, size=16)
    own = [np.flatnonzero(np.array(people) == person) for person in (3, 4, 5)]
    for found in measure_several(rows, np.array(people), THRESHOLDS, most=2):
        assert found.people == 3
        for way in (MEAN_OF_SCORES, ONE_TEMPLATE):
            genuine: list[float] = []
            impostor: list[float] = []
            for photos in own:
                references = rows[photos[: found.references]]
                joint = references.sum(axis=0) / np.linalg.norm(references.sum(axis=0))
                for others in own:
                    for probe in rows[others[2:]]:
                        score = float((references @ probe).mean() if way == MEAN_OF_SCORES else joint @ probe)
                        (genuine if photos is others else impostor).append(score)
            for rates in found.ways[way]:
                assert rates.fnmr.value == pytest.approx(np.mean(np.array(genuine) < rates.threshold))
                assert rates.fmr.value == pytest.approx(np.mean(np.array(impostor) >= rates.threshold))


def test_more_references_miss_fewer_people() -> None:
    people = np.repeat(np.arange(80), 4)
    rows = unit_rows(np.random.default_rng(0), people, size=32, likeness=1.2)
    one, two, three = measure_several(rows, people, THRESHOLDS, most=3)
    for way in (MEAN_OF_SCORES, ONE_TEMPLATE):
        missed = [found.ways[way][1].fnmr.value for found in (one, two, three)]
        assert missed == sorted(missed, reverse=True)
        assert missed[2] < missed[0]


def test_people_need_one_photo_more() -> None:
    people = np.repeat(np.arange(5), 3)
    assert measure_several(unit_rows(np.random.default_rng(0), people), people, THRESHOLDS, most=3) == ()
