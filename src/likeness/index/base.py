"""The interface of an index, and its guarantees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hit:
    """One stored template near a query: its key and the exact dot product, rounded to float32 (``index.scores``)."""

    key: int
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's hits, best first (ties by ascending key), and whether their exactness is proven."""

    hits: tuple[Hit, ...]
    certified: bool
    size: int
    """Number of templates that the search covered."""


class Index(Protocol):
    """Unit templates (d,) float32 under integer keys that the caller chooses (0 <= key < 2**63). Thread-safe.

    A search answers for one moment between its call and its return. It sees every insert and delete that returned
    before its call. It sees each concurrent insert or delete completely or not at all. A vector of the wrong shape, a
    number that is not finite, a key out of range, ``k < 1`` and a NaN threshold raise ValueError.
    """

    dimension: int

    def __len__(self) -> int: ...

    def __contains__(self, key: int) -> bool: ...

    def add(self, key: int, template: NDArray[np.float32]) -> None:
        """Insert or replace one template. Searches that start after the return see it."""
        ...

    def add_many(self, keys: Sequence[int] | NDArray[np.int64], templates: NDArray[np.float32]) -> None:
        """Insert or replace many rows (n, d). Of equal keys the last one counts. Use it to rebuild an index."""
        ...

    def reserve(self, count: int) -> None:
        """Take the room that ``count`` templates in all need on the disk, if any. Raises OSError when there is less."""
        ...

    def remove(self, key: int) -> bool:
        """Delete a template. Searches that start after the return do not see it. False when the key is unknown."""
        ...

    def search(self, query: NDArray[np.float32], *, k: int = 1, minimum_score: float = -math.inf) -> Answer:
        """Give the k best templates at or above ``minimum_score``, exactly. Concurrent calls may share one scan."""
        ...

    def above(self, query: NDArray[np.float32], minimum_score: float) -> Answer:
        """Give every template with a score at or above ``minimum_score``, exactly."""
        ...

    @property
    def bytes_per_template(self) -> float:
        """Memory in bytes for each stored template, spare room included."""
        ...
