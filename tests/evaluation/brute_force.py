"""Slow and simple computations that tests compare with the fast ones."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray


def unit_rows(
    generator: np.random.Generator, people: NDArray[np.int64] | list[int], *, size: int = 8, likeness: float = 1.5
) -> NDArray[np.float32]:
    """Return random templates of people. With more ``likeness``, templates of one person are more similar."""
    centres = generator.standard_normal((max(people) + 1, size)) * likeness
    rows = centres[people] + generator.standard_normal((len(people), size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scores_by_kind(
    rows: NDArray[np.float32], people: list[int]
) -> tuple[list[tuple[float, int, int]], list[tuple[float, int, int]]]:
    """Compute all scores one by one. Return (genuine, impostor), each a list of (score, i, j)."""
    genuine: list[tuple[float, int, int]] = []
    impostor: list[tuple[float, int, int]] = []
    for i, j in combinations(range(len(rows)), 2):
        score = float(rows[i].astype(np.float64) @ rows[j].astype(np.float64))
        (genuine if people[i] == people[j] else impostor).append((score, i, j))
    return genuine, impostor
