"""What an index promises."""

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
    """How many templates the search ran over."""


class Index(Protocol):
    """Unit templates (d,) float32 under caller-given integer keys (0 <= key < 2**63). Thread-safe.

    A search answers for one moment between its call and its return: it sees every insert and delete that returned
    before the call, and each of those under way either wholly or not at all. A vector of the wrong shape or with a
    number that is not finite, a key out of range, ``k < 1`` and a NaN threshold raise ValueError.
    """

    dimension: int

    def __len__(self) -> int: ...

    def __contains__(self, key: int) -> bool: ...

    def add(self, key: int, template: NDArray[np.float32]) -> None:
        """Insert or replace one template; searches that start after the return see it."""
        ...

    def add_many(self, keys: Sequence[int] | NDArray[np.int64], templates: NDArray[np.float32]) -> None:
        """Insert or replace many (n, d) rows at once, the last of equal keys winning; the way to rebuild."""
        ...

    def remove(self, key: int) -> bool:
        """Delete a template; False when the key is unknown. Searches that start after the return do not see it."""
        ...

    def search(self, query: NDArray[np.float32], *, k: int = 1, minimum_score: float = -math.inf) -> Answer:
        """Give the k best at or above ``minimum_score``, exactly. Concurrent calls may share one scan."""
        ...

    def above(self, query: NDArray[np.float32], minimum_score: float) -> Answer:
        """Give every template scoring at or above ``minimum_score``, exactly."""
        ...

    @property
    def bytes_per_template(self) -> float:
        """Memory held per stored template, spare room included."""
        ...
