import numpy as np
import pytest

from likeness.evaluation.recognition.pair_accuracy import pair_accuracy


def test_pairs_that_a_threshold_parts_are_all_classified_right() -> None:
    scores = np.concatenate([np.linspace(0.6, 0.9, 50), np.linspace(-0.2, 0.4, 50)])
    found = pair_accuracy(scores, np.arange(100) < 50)
    assert (found.genuine, found.impostor) == (50, 50)
    assert (found.mean, found.standard_error) == (1, 0)


def test_scores_that_mean_nothing_are_right_half_of_the_time() -> None:
    generator = np.random.default_rng(0)
    found = pair_accuracy(generator.standard_normal(4000), generator.random(4000) < 0.3)
    assert found.mean == pytest.approx(0.5, abs=0.04)
    assert found.standard_error < 0.02


def test_known_overlap_gives_the_known_accuracy() -> None:
    generator = np.random.default_rng(1)
    scores = np.concatenate([generator.standard_normal(5000) + 2, generator.standard_normal(2000)])
    found = pair_accuracy(scores, np.arange(7000) < 5000)
    assert found.mean == pytest.approx(0.8413, abs=0.015)  # Phi(1), because the best threshold is half way


def test_too_few_pairs_tell_nothing() -> None:
    assert pair_accuracy(np.linspace(0, 1, 30), np.arange(30) < 9) is None
