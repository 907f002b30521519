from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.brute_force import unit_rows
from likeness.evaluation.recognition.identification import Searches, leave_one_out, search_galleries


def crowd(
    seed: int = 0, people: int = 40, photos: int = 4, likeness: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    owner = np.repeat(np.arange(people), photos)
    return unit_rows(np.random.default_rng(seed), owner, size=16, likeness=likeness), owner


def test_half_of_the_people_at_most_are_in_the_gallery() -> None:
    rows, people = crowd()
    assert search_galleries(rows, people).gallery_size == 20
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


def test_a_gallery_size_that_is_asked_for_leaves_one_person_outside() -> None:
    rows, people = crowd()
    assert search_galleries(rows, people, gallery_size=1000, galleries=1).gallery_size == 39


@pytest.mark.parametrize("searched", [None, np.array([3, 17, 41])])
def test_leave_one_out_is_a_plain_search_among_other_people(searched: NDArray[np.int64] | None) -> None:
    rows, people = crowd(people=12)
    found = leave_one_out(rows, people, searched)
    for place, row in enumerate(range(len(rows)) if searched is None else searched):
        others = {person: max(float(rows[row] @ each) for each in rows[people == person]) for person in range(12)}
        del others[people[row]]
        (whose, best), (_, second) = sorted(others.items(), key=lambda each: -each[1])[:2]
        assert (found.best[place], found.second[place]) == pytest.approx((best, second), abs=1e-6)
        assert found.whose[place] == whose
    assert found.fpir(0.5).value == pytest.approx((found.best >= 0.5).mean())


def test_one_person_alone_finds_nobody() -> None:
    found = leave_one_out(np.eye(3, dtype=np.float32), np.zeros(3, np.int64))
    assert found.fpir(-1.0).errors == 0
    assert found.fpir(-1.0).high > 0.8


def test_intervals_by_leave_one_out_cover_the_rate_of_other_galleries() -> None:
    """About 95 % of the intervals must contain the rate of searches for people outside galleries of this size."""
    generator, held, trials, threshold = np.random.default_rng(5), 0, 100, 0.62
    outside = unit_rows(generator, np.arange(3000), size=16)
    rates, intervals = [], []
    for _ in range(trials):
        rows = unit_rows(generator, np.arange(150), size=16)
        rates.append(((outside @ rows.T).max(axis=1) >= threshold).mean())
        intervals.append(leave_one_out(rows, np.arange(150)).fpir(threshold))
    truth = np.mean(rates)
    assert 0.02 < truth < 0.5
    held = sum(rate.low <= truth <= rate.high for rate in intervals)
    assert held >= 0.93 * trials
    assert np.mean([rate.high - rate.low for rate in intervals]) < truth * 2


def test_searches_of_galleries_also_measure_by_leave_one_out() -> None:
    rows, people = crowd(people=120)
    point = search_galleries(rows, people, gallery_size=60).at(0.7)
    assert point.left_out_fpir is not None
    assert point.left_out_fpir.comparisons == 60
    assert point.left_out_fpir.low <= point.fpir <= point.left_out_fpir.high
