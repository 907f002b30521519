"""Groups with a planted gap: the gap is found, its interval covers it, and a group that is too small is named so."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from likeness.engine.base import Box
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition.comparison import compare_all
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.groups.differential import (
    Differential,
    Estimate,
    Similarity,
    differentials,
    judge,
    ratio,
)
from likeness.evaluation.recognition.outcomes import ExtractedFace, FailureToAcquire
from likeness.evaluation.recognition.performance import Performance, measure_performance
from likeness.evaluation.recognition.rates import Rate

BOX = Box(0, 0, 60, 60)
PEOPLE = {"north": 600, "south": 400, "west": 12}
"""The people of the south look somewhat alike, so they match falsely far more often than those of the north."""
ALIKE = 0.35
LEVEL = 2
"""False matches at FMR 1e-3 are many enough in groups of this size."""
REFUSED, SECONDS = {"north": 0.01, "south": 0.05, "west": 0.0}, {"north": 0.010, "south": 0.012, "west": 0.010}


def extraction(seed: int, people: dict[str, int]) -> tuple[Extraction, dict[str, tuple[str, ...]]]:
    """Return two templates of each person, in 24 dimensions."""
    random = np.random.default_rng(seed)
    groups = np.repeat(list(people), list(people.values()))
    centres = random.standard_normal((len(groups), 24))
    centres[groups == "south"] += ALIKE
    owner = np.repeat(np.arange(len(groups)), 2)
    rows = centres[owner] + 0.55 * random.standard_normal((len(owner), 24))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    of_photo = groups[owner].tolist()
    outcomes = [
        FailureToAcquire("NO_FACE") if random.random() < REFUSED[group] else ExtractedFace(row, 90, BOX)
        for row, group in zip(rows, of_photo, strict=True)
    ]
    names = tuple(f"P{person:04}" for person in range(len(groups)))
    photos = tuple(Path(names[person], f"{index}.jpg") for index, person in enumerate(owner))
    data_set = DataSet("faces", Path("faces"), names, photos, tuple(owner.tolist()))
    seconds = tuple(SECONDS[group] for group in of_photo)
    return Extraction(data_set, tuple(outcomes), seconds), {"origin": tuple(of_photo)}


@cache
def measured() -> Performance:
    found, labels = extraction(0, PEOPLE)
    return measure_performance(found, None, labels=labels)


@cache
def compared() -> dict[str, Differential]:
    performance = measured()
    return {each.group: each for each in differentials(performance.groups, performance.whole, level=LEVEL)}


def true_ratio() -> float:
    """Measure the planted ratio of FMR, on other people: many times as many comparisons, at the same threshold."""
    threshold = measured().whole.at(LEVEL).threshold
    rates = []
    found, labels = extraction(1, {name: 3 * number for name, number in PEOPLE.items()})
    for chosen in (range(len(found.outcomes)), [i for i, name in enumerate(labels["origin"]) if name == "south"]):
        impostor = compare_all(*found.templates_of(chosen), keep=0).impostor
        rates.append(impostor.at_or_above(threshold) / impostor.total)
    return rates[1] / rates[0]


def test_the_gap_is_found_and_its_interval_covers_it() -> None:
    south, planted = compared()["south"], true_ratio()
    assert planted > 2
    assert south.fmr is not None
    assert south.fmr.low < planted < south.fmr.high
    assert south.fmr.low > 1.25
    assert south.similarity is Similarity.NOT_MET


def test_a_group_that_is_too_small_is_named_so() -> None:
    west = compared()["west"]
    assert west.similarity is Similarity.TOO_FEW
    assert west.fnmr is None or west.fnmr.high > 1.25


def test_the_best_group_is_that_with_the_lowest_rate() -> None:
    north, south = compared()["north"], compared()["south"]
    assert north.fmr_to_best == Estimate(1, 1, 1)
    assert south.fmr_to_best is not None
    within = {group.group: group.at(LEVEL).fmr.value for group in measured().groups}
    assert south.fmr_to_best.value == pytest.approx(within["south"] / within["north"])


def test_failures_scores_and_times_are_compared_too() -> None:
    south, north = compared()["south"], compared()["north"]
    assert south.failure_to_acquire is not None
    assert south.failure_to_acquire.low > 1
    assert south.impostor_shift is not None
    assert north.impostor_shift is not None
    assert south.impostor_shift.low > 0 > north.impostor_shift.value
    assert (north.median_seconds, south.median_seconds) == (0.010, 0.012)


def test_groups_without_a_gap_are_not_found_to_differ() -> None:
    found, labels = extraction(2, {"north": 900, "west": 0})
    halves = {"half": tuple("first" if index % 4 < 2 else "second" for index in range(len(labels["origin"])))}
    performance = measure_performance(found, None, labels=halves)
    for each in differentials(performance.groups, performance.whole, level=1):
        assert each.fmr is not None
        assert each.fmr.low < 1 < each.fmr.high
        assert each.similarity is not Similarity.NOT_MET


@pytest.mark.parametrize(
    ("ratios", "similarity"),
    [
        ([Estimate(1.0, 0.9, 1.2), Estimate(1.1, 1.0, 1.25)], Similarity.MET),
        ([Estimate(1.0, 0.9, 1.2), Estimate(2.0, 1.3, 3.0)], Similarity.NOT_MET),
        ([None, Estimate(2.0, 1.3, 3.0)], Similarity.NOT_MET),
        ([Estimate(2.0, 1.2, 3.0), Estimate(1.0, 0.9, 1.2)], Similarity.TOO_FEW),
        ([Estimate(1.0, 0.9, 1.2), None], Similarity.TOO_FEW),
    ],
)
def test_a_group_is_judged_by_whole_intervals(ratios: list[Estimate | None], similarity: Similarity) -> None:
    assert judge(ratios) is similarity


def test_a_ratio_has_the_wider_interval_of_both_rates() -> None:
    one, other = Rate(0.02, 0.01, 0.04, 20, 1000), Rate(0.01, 0.008, 0.0125, 100, 10000)
    found = ratio(one, other)
    assert found is not None
    assert found.value == pytest.approx(2)
    assert found.low < 1
    assert found.high > 4
    assert ratio(Rate(0, 0, 0.004, 0, 900), other) == Estimate(0, 0, 0.004 / 0.008)
    assert ratio(one, Rate(0, 0, 0.1, 0, 10)) is None
    assert ratio(Rate(0, 0, 1, 0, 0), other) is None
