from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.evaluation.recognition.rates import genuine_rate, impostor_rate, wilson


def test_wilson_as_published() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263, 15 of 148.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(0.5, 0) == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=20))
def test_an_interval_holds_its_rate_and_stays_a_share(counts: list[tuple[int, int]]) -> None:
    comparisons = np.array([max(pair) for pair in counts])
    errors = np.array([min(pair) for pair in counts])
    rate = genuine_rate(errors, comparisons)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate.errors == errors.sum()
    assert rate.comparisons == comparisons.sum()


def test_independent_comparisons_give_the_plain_interval() -> None:
    errors = np.array([1] * 30 + [0] * 970)
    rate = genuine_rate(errors, np.ones(1000, np.int64))
    low, high = wilson(0.03, 1000)
    assert rate.value == 0.03
    assert (rate.low, rate.high) == pytest.approx((low, high), rel=0.01)


def test_errors_of_one_person_widen_the_interval() -> None:
    spread = genuine_rate(np.array([1] * 10 + [0] * 90), np.full(100, 10))
    at_once = genuine_rate(np.array([10] + [0] * 99), np.full(100, 10))
    assert spread.value == at_once.value
    assert at_once.high > 2 * spread.high


def test_no_error_seen_says_what_independent_comparisons_can_say() -> None:
    rate = impostor_rate(np.zeros(60, np.int64), np.full(60, 59))
    assert rate.comparisons == 60 * 59 // 2
    assert (rate.low, rate.high) == (0, wilson(0, 30)[1])
    assert genuine_rate(np.zeros(0, np.int64), np.zeros(0, np.int64)).high == 1


def test_one_person_alone_is_one_observation() -> None:
    rate = genuine_rate(np.array([3]), np.array([9]))
    assert (rate.low, rate.high) == wilson(1 / 3, 1)


def test_impostor_intervals_cover_the_truth() -> None:
    """For people who differ in how often they are confused, about 95 % of the intervals must contain the true rate."""
    generator = np.random.default_rng(3)
    held, trials, people = 0, 200, 60
    for _ in range(trials):
        liability = generator.beta(2, 18, people)
        errors = np.zeros(people, np.int64)
        for i, j in combinations(range(people), 2):
            if generator.random() < (liability[i] + liability[j]) / 2:
                errors[[i, j]] += 1
        rate = impostor_rate(errors, np.full(people, people - 1))
        held += rate.low <= 0.1 <= rate.high
    assert 0.9 <= held / trials <= 0.99
