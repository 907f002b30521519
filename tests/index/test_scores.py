"""A score has the same bits on every machine."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from likeness.index.scores import best_hits, exact_scores, rounded_exactly

numbers = st.floats(-1, 1, width=32)


def rational(row: np.ndarray, query: np.ndarray) -> float:
    """Sum as rational numbers. Round once to float64 and once to float32."""
    total = sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, query, strict=True)), Fraction(0))
    return float(np.float32(float(total)))


@given(arrays(np.float32, (3, 7), elements=numbers), arrays(np.float32, 7, elements=numbers))
def test_scores_are_the_correctly_rounded_sums(rows: NDArray[np.float32], query: NDArray[np.float32]) -> None:
    assert exact_scores(rows, query).tolist() == [rational(row, query) for row in rows]


@pytest.mark.parametrize("dimension", [1, 2, 31, 128, 512])
def test_scores_do_not_depend_on_the_order_of_the_coordinates(dimension: int) -> None:
    random = np.random.default_rng(dimension)
    rows, query = random.standard_normal((200, dimension), np.float32), random.standard_normal(dimension, np.float32)
    order = random.permutation(dimension)
    assert np.array_equal(exact_scores(rows, query), exact_scores(rows[:, order], query[order]))


@given(arrays(np.float32, (3, 7), elements=numbers), arrays(np.float32, 7, elements=numbers), st.permutations(range(7)))
def test_sums_in_any_order_settle_to_the_same_scores(
    rows: NDArray[np.float32], query: NDArray[np.float32], order: list[int]
) -> None:
    sums = np.array([sum(float(row[i]) * float(query[i]) for i in order) for row in rows])
    longest = np.linalg.norm(rows, axis=1).max() * np.linalg.norm(query)
    assert rounded_exactly(sums, query, float(longest), rows.__getitem__).tolist() == exact_scores(rows, query).tolist()


def test_cancelling_products_are_not_lost() -> None:
    rows = np.array([[1.0, 2.0**-40, -1.0], [1.0, 0.0, -1.0]], np.float32)
    assert exact_scores(rows, np.ones(3, np.float32)).tolist() == [2.0**-40, 0.0]


def test_zero_is_never_negative() -> None:
    assert not np.signbit(exact_scores(np.array([[-1.0]], np.float32), np.zeros(1, np.float32)))[0]


def test_hits_rank_by_falling_score_then_rising_key() -> None:
    keys, scores = np.array([7, 3, 5, 1]), np.array([0.5, 0.9, 0.5, -0.2], np.float32)
    ranked = best_hits(keys, scores, k=3, minimum_score=-1.0)
    assert [hit.key for hit in ranked] == [3, 5, 7]
    assert [hit.key for hit in best_hits(keys, scores, k=2, minimum_score=-1.0)] == [3, 5]
    assert [hit.key for hit in best_hits(keys, scores, k=None, minimum_score=0.5)] == [3, 5, 7]
    assert best_hits(keys, scores, k=None, minimum_score=0.95) == ()
