import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likeness.evaluation.recognition.histogram import BINS, ScoreHistogram, edge

scores = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60)


def histogram_of(values: NDArray[np.float64] | list[float]) -> ScoreHistogram:
    histogram = ScoreHistogram()
    histogram.add(np.array(values, np.float32))
    return histogram


@settings(max_examples=30)
@given(scores, st.integers(0, BINS - 1))
def test_counts_at_an_edge_are_exact(values: list[float], position: int) -> None:
    threshold = edge(position)
    expected = sum(float(np.float32(value)) >= threshold for value in values)
    assert histogram_of(values).at_or_above(threshold) == expected


@settings(max_examples=30)
@given(scores, st.floats(0, 1))
def test_the_threshold_keeps_to_the_rate_and_is_the_lowest_that_does(values: list[float], rate: float) -> None:
    histogram = histogram_of(values)
    threshold = histogram.threshold_for(rate)
    allowed = np.floor(rate * len(values) + 1e-9)
    if threshold < 1:
        assert histogram.at_or_above(threshold) <= allowed
    if threshold > -1:
        assert histogram.at_or_above(threshold - 2 / BINS) > allowed


def test_rounding_beyond_one_counts_at_the_ends() -> None:
    histogram = histogram_of([1.0000001, -1.0000001, 0.0])
    assert histogram.total == 3
    assert histogram.at_or_above(0.999) == 1
    assert histogram.at_or_above(-1) == 3


def test_adding_twice_is_adding_all() -> None:
    parts = histogram_of([0.1, 0.2])
    parts.add(np.array([[0.3], [0.4]], np.float32))
    assert np.array_equal(parts.counts, histogram_of([0.1, 0.2, 0.3, 0.4]).counts)


def test_density_is_a_density() -> None:
    values = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000)
    centres, density = histogram_of(values).density(20, -0.5, 0.5)
    assert centres[0] == pytest.approx(-0.475)
    assert density.sum() / 20 == pytest.approx(1, abs=1e-3)
    assert density == pytest.approx(np.ones(20), abs=0.12)
