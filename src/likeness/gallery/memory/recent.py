"""Templates that a search under way may have missed, so that search-or-insert is atomic without holding anybody up.

The scan of a search-or-insert runs beside everybody else's. Only its end, on the database's writer thread, must know
that nobody enrolled the same person meanwhile. All enrolments of a gallery pass through here, and the invariant is:

    At any moment on the writer's thread, every entry in the database is in the index, or lies in this list behind the
    position that was *indexed* when the scan began.

For an entry is recorded here on the writer's thread as it is inserted, before its commit, and counted as indexed only
after the index has it. A scan notes the indexed position first and reads the index then: what lies before the position
is in the index it reads, and what lies behind is here, until the scan's watch ends. So comparing with the entries
behind the position is comparing with everything that the scan may have missed. An entry whose transaction was rolled
back is dropped when the next transaction begins; one erased meanwhile is not in the database any more, which the writer
looks up before it believes in it.
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
"""More than float32 arithmetic is off by; what comes this near is scored exactly."""
_FIRST_ROOM = 64


class RecentEnrolments:
    """The newest entries of one gallery for one pack.

    Recorded and compared on the writer's thread, watched from any.
    """

    def __init__(self, dimension: int) -> None:
        self._lock = Lock()
        self._keys: list[int] = []
        self._rows = np.empty((_FIRST_ROOM, dimension), np.float32)
        self._start = 0
        """Position of the first row held; positions count all entries ever recorded."""
        self._indexed = 0
        self._watched: Counter[int] = Counter()
        self._transaction: Transaction | None = None

    @contextmanager
    def watch(self) -> Iterator[int]:
        """Give the position to compare from; what is recorded behind it is kept until the block ends.

        Scan inside the block.
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
        """Begin a change: what an earlier transaction recorded and never indexed was rolled back."""
        if transaction is not self._transaction:
            with self._lock:
                self._transaction = transaction
                del self._keys[self._indexed - self._start :]

    def record(self, key: int, template: Template) -> None:
        """Note an entry inserted in the present transaction."""
        with self._lock:
            count = len(self._keys)
            if count == len(self._rows):
                self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
            self._rows[count] = template
            self._keys.append(key)

    def mark_indexed(self, key: int) -> None:
        """Note that the index has an entry, and all recorded before it."""
        with self._lock:
            self._indexed = self._start + self._keys.index(key, self._indexed - self._start) + 1
            self._trim()

    @property
    def unindexed(self) -> int:
        """How many entries of the present transaction the index does not have yet."""
        return self._start + len(self._keys) - self._indexed

    def matches_since(self, position: int, template: Template, minimum_score: float) -> list[tuple[int, float]]:
        """Give (key, score) of every entry behind a watched position that reaches the score, best first."""
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
        """Let go of what is in the index and nobody watches; in large steps, for each one moves the rest."""
        done = min(self._watched, default=self._indexed) - self._start
        if done == len(self._keys) or done >= max(_FIRST_ROOM, len(self._keys) // 2):
            left = self._rows[done : len(self._keys)]
            if len(left) <= _FIRST_ROOM < len(self._rows):
                self._rows = np.concatenate((left, np.empty((_FIRST_ROOM, left.shape[1]), np.float32)))
            else:
                self._rows[: len(left)] = left.copy()
            del self._keys[:done]
            self._start += done
