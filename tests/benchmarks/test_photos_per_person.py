"""The ways to make one score of several photos, and the division of photos into references and probes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from photos_per_person import MOST, WAYS, divide, mean_of_scores, rates_of


@pytest.fixture(name="rows")
def some_rows() -> NDArray[np.float32]:
    rows = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_each_way_gives_the_score_of_a_single_photo(rows: NDArray[np.float32]) -> None:
    for way in WAYS.values():
        np.testing.assert_allclose(way(rows[:8, None], rows[8:]), rows[:8] @ rows[8:].T, atol=1e-6)


def test_the_ways_are_what_they_are_called(rows: NDArray[np.float32]) -> None:
    entries, probes = rows[:32].reshape(8, 4, 16), rows[32:]
    single = (rows[:32] @ probes.T).reshape(8, 4, 8)
    scores = {name: way(entries, probes) for name, way in WAYS.items()}
    np.testing.assert_allclose(scores["mean of the scores"], single.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(scores["highest score"], single.max(axis=1), atol=1e-6)
    product = scores["mean of the scores"] * scores["joint template"]
    np.testing.assert_allclose(scores["geometric mean"] ** 2, product, atol=1e-6)


def test_no_photo_is_both_reference_and_probe(rows: NDArray[np.float32]) -> None:
    people = np.repeat([0, 1, 2, 3], [MOST, MOST + 1, 2 * MOST + 1, 22])
    trial = divide(rows[: len(people)], people)
    assert np.bincount(trial.references_people).tolist() == [0, MOST, 2 * MOST, 16]
    assert np.bincount(trial.probes_people).tolist() == [4, 1, 1, 6]
    shared = (trial.references[:, None] == trial.probes[None, :]).all(axis=2)
    assert not shared.any()


def test_rates_count_both_kinds_of_comparisons(rows: NDArray[np.float32]) -> None:
    scores = mean_of_scores(rows[:2, None], rows[2:4])
    scores[...] = [[0.9, 0.5], [0.2, 0.3]]
    rates = rates_of(scores, np.eye(2, dtype=np.bool_), (0.4, 0.8))
    assert (rates.false_matches, rates.false_match_rates, rates.accepted) == ([1, 0], [0.5, 0.0], [0.5, 0.5])
