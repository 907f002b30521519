import numpy as np
import pytest

from evaluation.brute_force import scores_by_kind, unit_rows
from likeness.evaluation.recognition.groups.scores import ScoreMean, mean_scores


def test_the_means_are_those_of_all_pairs() -> None:
    people = [0, 0, 3, 1, 1, 1, 2, 3, 5]
    rows = unit_rows(np.random.default_rng(0), people)
    for mean, scores in zip(mean_scores(rows, np.array(people)), scores_by_kind(rows, people), strict=True):
        assert mean.value == pytest.approx(np.mean([score for score, _, _ in scores]))
        assert mean.comparisons == len(scores)


def test_the_standard_error_is_that_of_leaving_each_person_out() -> None:
    people = [0, 0, 1, 1, 2, 2, 3]
    rows = unit_rows(np.random.default_rng(1), people)
    without = []
    for left_out in range(4):
        kept = [index for index, person in enumerate(people) if person != left_out]
        _, impostor = scores_by_kind(rows[kept], [people[index] for index in kept])
        without.append(np.mean([score for score, _, _ in impostor]))
    expected = np.sqrt(3 / 4 * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert mean_scores(rows, np.array(people))[1].standard_error == pytest.approx(expected)


def test_without_comparisons_there_is_no_mean() -> None:
    nothing = ScoreMean(0.0, 0.0, 0)
    assert mean_scores(np.empty((0, 1), np.float32), np.empty(0, np.int64)) == (nothing, nothing)
    genuine, impostor = mean_scores(np.ones((1, 1), np.float32), np.array([4]))
    assert (genuine, impostor) == (nothing, nothing)
