"""The slow, simple index: it computes every score of every search. Tests compare the fast indexes with it."""

import math
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from likeness.index.base import Answer
from likeness.index.scores import best_hits, exact_scores
from likeness.index.vectors import checked_bounds, checked_key, checked_keys, checked_query, checked_rows


class ReferenceIndex:
    """An ``Index`` that is a dictionary and a loop. All its answers are certified."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._rows: dict[int, NDArray[np.float32]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: int) -> bool:
        return key in self._rows

    def add(self, key: int, template: NDArray[np.float32]) -> None:
        self.add_many([key], np.asarray(template)[np.newaxis])

    def add_many(self, keys: Sequence[int] | NDArray[np.int64], templates: NDArray[np.float32]) -> None:
        rows = checked_rows(templates, self.dimension).copy()
        with self._lock:
            self._rows.update(zip(checked_keys(keys, len(rows)).tolist(), rows, strict=True))

    def reserve(self, count: int) -> None:
        """Do nothing: every row is in memory."""

    def remove(self, key: int) -> bool:
        with self._lock:
            return self._rows.pop(checked_key(key), None) is not None

    def search(self, query: NDArray[np.float32], *, k: int = 1, minimum_score: float = -math.inf) -> Answer:
        checked_bounds(k, minimum_score)
        return self._answer(query, k, minimum_score)

    def above(self, query: NDArray[np.float32], minimum_score: float) -> Answer:
        checked_bounds(1, minimum_score)
        return self._answer(query, None, minimum_score)

    def _answer(self, query: NDArray[np.float32], k: int | None, minimum_score: float) -> Answer:
        vector = checked_query(query, self.dimension)
        with self._lock:
            keys = np.fromiter(self._rows, np.int64, len(self._rows))
            rows = np.stack(list(self._rows.values())) if self._rows else np.empty((0, self.dimension), np.float32)
        scores = exact_scores(rows, vector)
        return Answer(best_hits(keys, scores, k=k, minimum_score=minimum_score), certified=True, size=len(keys))

    @property
    def bytes_per_template(self) -> float:
        return 4.0 * self.dimension
