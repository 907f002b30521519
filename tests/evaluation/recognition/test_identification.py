from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.brute_force import unit_rows
from likeness.evaluation.recognition.identification import Searches, search_galleries


def crowd(
    seed: int = 0, people: int = 40, photos: int = 4, likeness: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    owner = np.repeat(np.arange(people), photos)
    return unit_rows(np.random.default_rng(seed), owner, size=16, likeness=likeness), owner


def test_half_of_the_people_at_most_are_in_the_gallery() -> None:
    rows, people = crowd()
    assert search_galleries(rows, people, gallery_size=1000).gallery_size == 20
    few = search_galleries(rows, people, gallery_size=5, galleries=2)
    assert few.gallery_size == 5
    assert few.mated_best.size == 2 * 5 * 3
    assert few.non_mated_best.size == 2 * 35 * 4


def test_rates_are_those_of_a_plain_search() -> None:
    rows, people = crowd(likeness=1.0)
    found = search_galleries(rows, people, gallery_size=10, galleries=1, seed=7)
    generator = np.random.default_rng(7)
    enrolled = set(generator.permutation(np.unique(people))[:10].tolist())
    gallery: dict[Any, Any] = {}
    for row in generator.permutation(len(people)):
        if people[row] in enrolled:
            gallery.setdefault(int(people[row]), int(row))
    threshold, misses, alarms = 0.6, [], []
    for row, person in enumerate(people):
        if row in gallery.values():
            continue
        best, whose = max((float(rows[row] @ rows[reference]), owner) for owner, reference in gallery.items())
        if person in enrolled:
            misses.append(whose != person or best < threshold)
        else:
            alarms.append(best >= threshold)
    point = found.at(threshold)
    assert point.fnir == pytest.approx(np.mean(misses))
    assert point.fpir == pytest.approx(np.mean(alarms))
    assert 0 < point.fnir < 1
    assert 0 < point.fpir < 1


def test_the_threshold_for_an_fpir_keeps_to_it() -> None:
    rows, people = crowd(people=120)
    found = search_galleries(rows, people, gallery_size=60)
    point = found.at_fpir(0.05)
    assert point.fpir <= 0.05 < point.fpir + 2 / found.non_mated_best.size + 1e-3
    assert point.target_fpir == 0.05
    assert found.at(point.threshold).fnir == point.fnir


def test_too_few_searches_tell_no_small_rate() -> None:
    rows, people = crowd()
    assert search_galleries(rows, people, gallery_size=20, galleries=1).at_fpir(1e-3) is None


def test_nobody_to_enrol_gives_no_searches() -> None:
    found = search_galleries(np.ones((1, 2), np.float32), np.zeros(1, np.int64), gallery_size=5)
    assert found.gallery_size == 0
    assert found.at(0.5) == Searches(0, 5, np.empty(0), np.empty(0)).at(0.5)
    assert found.at(0.5).fnir == 0
