from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from likeness.engine.detection.boxes import squares, strongest, suppress


def overlap(first: NDArray[np.float32], second: NDArray[np.float32], of_smaller: bool) -> np.float32:
    common = max(min(first[2], second[2]) - max(first[0], second[0]), 0) * max(
        min(first[3], second[3]) - max(first[1], second[1]), 0
    )
    one, two = ((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return common / (min(one, two) if of_smaller else one + two - common)


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 15)] * 2), max_size=12), st.booleans())
def test_suppression_keeps_what_no_better_kept_box_overlaps(
    rows: list[tuple[int, int, int, int]], of_smaller: bool
) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in rows], np.float32).reshape(-1, 4)
    scores = np.linspace(1, 0.5, len(boxes), dtype=np.float32)[
        np.random.default_rng(len(boxes)).permutation(len(boxes))
    ]
    expected: list[Any] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[kept], boxes[index], of_smaller) <= 0.41 for kept in expected):
            expected.append(index)
    assert suppress(boxes, scores, 0.41, of_smaller=of_smaller).tolist() == expected


@given(st.lists(st.floats(0, 1, width=32), max_size=20), st.integers(1, 20))
def test_the_strongest_are_the_first_of_all_in_order(scores: list[float], most: int) -> None:
    chosen = strongest(np.array(scores, np.float32), most)
    assert len(set(chosen.tolist())) == len(chosen)
    assert sorted((scores[index] for index in chosen), reverse=True) == sorted(scores, reverse=True)[:most]


def test_squares_keep_the_middle() -> None:
    assert squares(np.array([[0, 0, 10, 30]], np.float32)).tolist() == [[-10, 0, 20, 30]]
