"""Templates that a running search may have missed. They make search-or-insert atomic, and no call waits for another.

The scan of a search-or-insert runs at the same time as other calls. Only its end, on the database's writer thread, must
know whether another call has enrolled the same person meanwhile. All enrolments of a gallery pass through here. The
invariant is:

    At any moment on the writer's thread, every entry in the database is in the index, or it is in this list after the
    position that was *indexed* when the scan began.

The proof. The writer's thread records an entry here when it inserts it, before the commit. The entry counts as indexed
only after the index has it. A scan first notes the indexed position, and then reads the index. So the index that it
reads has all entries before the position. All entries after it are here until the scan's watch ends. So a comparison
with the entries after the position covers all that the scan may have missed.

When a transaction was rolled back, the next transaction begins by dropping its entries. An entry that was erased
meanwhile is no longer in the database. The writer looks each match up there before it uses it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
from sqlalchemy import Transaction

from likeness.engine.base import Template
from likeness.index.scores import best_hits, exact_scores

_MARGIN = 1e-3
"""More than the error of float32 arithmetic. A score this near to the threshold is computed exactly."""
_FIRST_ROOM = 64


class RecentEnrolments:
    """The newest entries of one gallery for one pack.

    The writer's thread records and compares entries. Any thread may watch.
    """

    def __init__(self, dimension: int) -> None:
        self._lock = Lock()
        self._keys: list[int] = []
        self._rows = np.empty((_FIRST_ROOM, dimension), np.float32)
        self._start = 0
        """Position of the first row held. Positions count all entries ever recorded."""
        self._indexed = 0
        self._watched: Counter[int] = Counter()
        self._transaction: Transaction | None = None

    @contextmanager
    def watch(self) -> Iterator[int]:
        """Give the position to compare from. Entries recorded after it are kept until the block ends.

        Scan within the block.
        """
        with self._lock:
            position = self._indexed
            self._watched[position] += 1
        try:
            yield position
        finally:
            with self._lock:
                self._watched[position] -= 1
                if not self._watched[position]:
                    del self._watched[position]
                self._trim()

    def enter(self, transaction: Transaction | None) -> None:
        """Begin a change. Drop the entries of an earlier transaction that were never indexed: it was rolled back."""
        if transaction is not self._transaction:
            with self._lock:
                self._transaction = transaction
                del self._keys[self._indexed - self._start :]

    def record(self, key: int, template: Template) -> None:
        """Record an entry that the present transaction has inserted."""
        with self._lock:
            count = len(self._keys)
            if count == len(self._rows):
                self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
            self._rows[count] = template
            self._keys.append(key)

    def mark_indexed(self, key: int) -> None:
        """Note that the index has this entry and all entries recorded before it."""
        with self._lock:
            self._indexed = self._start + self._keys.index(key, self._indexed - self._start) + 1
            self._trim()

    @property
    def unindexed(self) -> int:
        """Number of entries of the present transaction that are not in the index yet."""
        return self._start + len(self._keys) - self._indexed

    def matches_since(self, position: int, template: Template, minimum_score: float) -> list[tuple[int, float]]:
        """Give (key, score) of every entry after a watched position that reaches the score, best first."""
        with self._lock:
            first, count = position - self._start, len(self._keys)
            rows = self._rows[first:count]
            near = np.flatnonzero(rows @ template >= minimum_score - _MARGIN)
            if not len(near):
                return []
            keys = np.array(self._keys, np.int64)[first:][near]
            scores = exact_scores(rows[near], template)
        return [(hit.key, hit.score) for hit in best_hits(keys, scores, k=None, minimum_score=minimum_score)]

    def _trim(self) -> None:
        """Drop the entries that are indexed and not watched. Drop many at once, because each step moves the rest."""
        done = min(self._watched, default=self._indexed) - self._start
        if done == len(self._keys) or done >= max(_FIRST_ROOM, len(self._keys) // 2):
            left = self._rows[done : len(self._keys)]
            if len(left) <= _FIRST_ROOM < len(self._rows):
                self._rows = np.concatenate((left, np.empty((_FIRST_ROOM, left.shape[1]), np.float32)))
            else:
                self._rows[: len(left)] = left.copy()
            del self._keys[:done]
            self._start += done
