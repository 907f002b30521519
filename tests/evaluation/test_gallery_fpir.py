import json

import numpy as np
import pytest

from evaluation.brute_force import unit_rows
from likeness.engine.levels import Calibration
from likeness.evaluation.gallery_fpir import measure_gallery, same_person_score

CALIBRATION = Calibration((0.5, 0.6, 0.7, 0.8, 0.9), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), "made up", 1, 1)
PEOPLE = 300
ROWS = unit_rows(np.random.default_rng(2), np.arange(PEOPLE), size=16)


def test_each_level_has_its_rate_and_what_the_calibration_expects() -> None:
    measured = measure_gallery(ROWS, [], CALIBRATION)
    scores = ROWS @ ROWS.T
    np.fill_diagonal(scores, -1)
    for one in measured.levels:
        assert one.fpir.value == pytest.approx((scores.max(axis=1) >= one.threshold).mean())
        assert one.by_calibration == pytest.approx(1 - (1 - CALIBRATION.false_match_rate(one.level)) ** (PEOPLE - 1))
        value, low, high = one.grown
        assert one.fpir.value <= value <= 1
        assert low <= value <= high
    assert measured.entries == measured.searches == PEOPLE
    json.dumps(measured.to_json())


def test_ten_times_as_many_entries_are_found_as_predicted() -> None:
    many = unit_rows(np.random.default_rng(3), np.arange(10 * PEOPLE), size=16)
    level = 2  # FPIR of 300 entries: some percent
    predicted = measure_gallery(ROWS, [], CALIBRATION).levels[level].grown
    found = measure_gallery(many, [], CALIBRATION).levels[level].fpir.value
    assert predicted[1] <= found <= predicted[2]


def test_points_halve_the_rate_while_ten_searches_find_somebody() -> None:
    points = measure_gallery(ROWS, [], CALIBRATION).points
    assert [fpir.errors for _, fpir in points] == [150, 75, 38, 18]  # two are each other's nearest
    assert [threshold for threshold, _ in points] == sorted(threshold for threshold, _ in points)


def test_people_enrolled_twice_are_set_apart() -> None:
    twice = np.concatenate([ROWS, ROWS[:50], ROWS[:10]])
    pairs = [*((place, PEOPLE + place) for place in range(50)), *((place, PEOPLE + 50 + place) for place in range(10))]
    strict = CALIBRATION.thresholds[4]
    apart = measure_gallery(twice, pairs, CALIBRATION)
    assert apart.pairs_set_apart == 60
    assert apart.levels[4].fpir.errors == measure_gallery(ROWS, [], CALIBRATION).levels[4].fpir.errors
    assert measure_gallery(twice, [], CALIBRATION).levels[4].fpir.errors >= 110
    assert same_person_score(CALIBRATION, 100) > strict
    assert same_person_score(CALIBRATION, 1_000_000) > same_person_score(CALIBRATION, 10_000)


def test_some_searches_stand_for_all() -> None:
    some = measure_gallery(ROWS, [], CALIBRATION, searches=120)
    every = measure_gallery(ROWS, [], CALIBRATION)
    assert some.searches == 120
    assert some.levels[1].fpir.low <= every.levels[1].fpir.value <= some.levels[1].fpir.high
    assert measure_gallery(ROWS, [], CALIBRATION, searches=10_000).searches == PEOPLE
