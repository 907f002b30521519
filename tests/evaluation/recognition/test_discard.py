import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.brute_force import scores_by_kind, unit_rows
from likeness.evaluation.recognition.discard import discard_curve, genuine_pairs


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 2**32))
def test_the_curve_is_that_of_the_photos_left(people: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, quality = unit_rows(generator, people), generator.integers(0, 5, len(people)).astype(float)
    genuine, _ = scores_by_kind(rows, people)
    shares = (0.0, 0.25, 0.5, 1.0)
    worst_first = sorted(range(len(people)), key=lambda row: (quality[row], row))
    for point, share in zip(discard_curve(rows, np.array(people), quality, 0.4, shares), shares, strict=True):
        kept = set(worst_first[int(share * len(people)) :])
        left = [score for score, i, j in genuine if i in kept and j in kept]
        assert point.discarded == share
        assert point.comparisons == len(left)
        assert point.fnmr == pytest.approx(sum(score < 0.4 for score in left) / max(len(left), 1))


def test_genuine_pairs_need_not_stand_together() -> None:
    first, second = genuine_pairs(np.array([1, 0, 1, 2, 0, 1]))
    assert {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)} == {
        frozenset(pair) for pair in [(1, 4), (0, 2), (0, 5), (2, 5)]
    }


def test_a_telling_quality_lowers_the_curve() -> None:
    generator = np.random.default_rng(0)
    people = np.repeat(np.arange(100), 4)
    rows = unit_rows(generator, people, size=32, likeness=2)
    noisy = generator.random(len(people)) < 0.1
    rows[noisy] = unit_rows(generator, np.arange(noisy.sum()), size=32)
    curve = discard_curve(rows, people, np.where(noisy, 10.0, 90.0), 0.5, (0.0, 0.05, 0.2))
    assert curve[0].fnmr > curve[1].fnmr > curve[2].fnmr
