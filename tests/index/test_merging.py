"""Answers of indexes with different keys, merged."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from likeness.index.base import Answer, Hit
from likeness.index.exact import ExactIndex
from likeness.index.merging import merged

POOL = np.random.default_rng(0).standard_normal((5, 8))
ROWS = (POOL / np.linalg.norm(POOL, axis=1, keepdims=True)).astype(np.float32)


def index_of(rows: Sequence[tuple[int, int]]) -> ExactIndex:
    index = ExactIndex(8)
    index.add_many([key for key, _ in rows], ROWS[[row for _, row in rows]])
    return index


@given(
    st.dictionaries(st.integers(0, 1000), st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40),
    st.integers(1, 50),
)
def test_the_merged_answer_is_that_of_one_index(places: dict[int, tuple[int, int]], k: int) -> None:
    parts = [index_of([(key, row) for key, (row, part) in places.items() if part == number]) for number in range(4)]
    whole = index_of([(key, row) for key, (row, _) in places.items()])
    for query in ROWS:
        assert merged([part.search(query, k=k) for part in parts], k=k) == whole.search(query, k=k)
        assert merged([part.above(query, 0.0) for part in parts], k=None) == whole.above(query, 0.0)


def test_one_answer_without_proof_leaves_the_whole_without() -> None:
    sound, other = Answer((Hit(1, 0.5),), certified=True, size=1), Answer((Hit(0, 0.5),), certified=False, size=2)
    assert merged([sound, other], k=1) == Answer((Hit(0, 0.5),), certified=False, size=3)
