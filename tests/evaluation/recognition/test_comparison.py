import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.brute_force import scores_by_kind, unit_rows
from likeness.evaluation.recognition import comparison
from likeness.evaluation.recognition.comparison import compare_all, count_errors

crowds = st.lists(st.integers(0, 5), min_size=2, max_size=25)


@given(crowds, st.integers(0, 2**32))
@settings(max_examples=25)
def test_every_pair_counts_once_and_the_worst_are_kept(people: list[int], seed: int) -> None:
    rows = unit_rows(np.random.default_rng(seed), people)
    genuine, impostor = scores_by_kind(rows, people)
    found = compare_all(rows, np.array(people), keep=3)
    assert (found.genuine.total, found.impostor.total) == (len(genuine), len(impostor))
    for threshold in (-0.25, 0.0, 0.5, 0.75):
        assert found.impostor.at_or_above(threshold) == pytest.approx(
            sum(s >= threshold for s, _, _ in impostor), abs=0
        )
        assert found.genuine.at_or_above(threshold) == pytest.approx(sum(s >= threshold for s, _, _ in genuine), abs=0)
    by_person = {people[i]: min(s for s, k, _ in genuine if people[k] == people[i]) for _, i, _ in genuine}
    by_two = {
        frozenset((people[i], people[j])): max(
            s for s, k, m in impostor if {people[k], people[m]} == {people[i], people[j]}
        )
        for _, i, j in impostor
    }
    assert [pair.score for pair in found.lowest_genuine] == pytest.approx(sorted(by_person.values())[:3], abs=1e-6)
    assert [pair.score for pair in found.highest_impostor] == pytest.approx(sorted(by_two.values())[::-1][:3], abs=1e-6)
    for pair in (*found.lowest_genuine, *found.highest_impostor):
        assert float(rows[pair.first] @ rows[pair.second]) == pytest.approx(pair.score, abs=1e-6)


@given(crowds, st.integers(0, 2**32))
@settings(max_examples=25)
def test_errors_are_counted_with_the_people_they_belong_to(people: list[int], seed: int) -> None:
    rows = unit_rows(np.random.default_rng(seed), people)
    genuine, impostor = scores_by_kind(rows, people)
    thresholds = [-0.3, 0.1, 0.6]
    errors = count_errors(rows, np.array(people), thresholds)
    for person in range(max(people) + 1):
        own = [s for s, i, _ in genuine if people[i] == person]
        others = [s for s, i, j in impostor if person in {people[i], people[j]}]
        assert errors.genuine[person] == len(own)
        assert errors.impostor[person] == len(others)
        assert errors.false_non_matches[person].tolist() == [sum(s < t for s in own) for t in thresholds]
        assert errors.false_matches[person].tolist() == [sum(s >= t for s in others) for t in thresholds]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    people = np.random.default_rng(1).integers(0, 30, 100)
    rows = unit_rows(np.random.default_rng(2), people)
    whole, whole_errors = compare_all(rows, people), count_errors(rows, people, [0.2, 0.5])
    monkeypatch.setattr(comparison, "_BLOCK", 7)
    parts, parts_errors = compare_all(rows, people), count_errors(rows, people, [0.2, 0.5])
    # Another block shape can round a score into the next bin, but every score still counts once.
    assert parts.genuine.total == whole.genuine.total
    assert parts.impostor.total == whole.impostor.total
    assert [pair.score for pair in parts.highest_impostor] == pytest.approx(
        [pair.score for pair in whole.highest_impostor], abs=1e-6
    )
    assert np.array_equal(parts_errors.false_matches, whole_errors.false_matches)


def test_nobody_gives_no_comparison() -> None:
    errors = count_errors(np.empty((0, 4), np.float32), np.empty(0, np.int64), [0.5])
    assert errors.genuine.size == errors.impostor.size == 0
