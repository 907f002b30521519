"""The exact index. A scan of bytes proves which rows cannot be among the answers. All other rows get exact scores.

    rotate, round to int8 (``codes``)  →  rows in chunks that searches share with writers (``views``, ``table``)
    queries that wait together (``combiner``)  →  one scan (``scans``)  →  exact scores of the rows left (``scores``)

For each query, the scan keeps the k-th best score so far. A row whose upper bound is below it scores below at least k
rows, so the scan leaves it out. Every other row gets its exact score. An answer is ``certified`` when its exact scores
confirm the proof. Then no score is above its upper bound, and the last hit is at or above the cut.

The scan cannot read templates that are in a file. It takes scores that it estimates from their codes, less what these
are likely off (``Goal.doubt``). Their exact scores are computed after the scan. If they do not confirm the proof, the
scan is made again with proven bounds.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.index import compiled
from likeness.index.base import Answer
from likeness.index.codes import Goal, codec_of
from likeness.index.combiner import Combiner
from likeness.index.scans import Candidates, CompiledScan, Scan
from likeness.index.scores import best_hits, rounded_exactly
from likeness.index.table import Table, row_bytes
from likeness.index.vectors import checked_bounds, checked_key, checked_keys, checked_query, checked_rows
from likeness.index.views import TableSnapshot


@dataclass(frozen=True, slots=True)
class _Search:
    query: NDArray[np.float32]
    k: int | None
    minimum_score: float


class ExactIndex:
    """An ``Index`` whose answers are exact by proof.

    ``threads`` threads share one scan, with at least 65,536 rows each. ``scans_at_once`` scans can run at the same
    time. While they all run, new searches wait until one ends, and share the next. The default ``scan`` is that of
    ``best_scan``. The index grows by ``chunk_rows`` rows, a multiple of 64.

    With a ``folder``, most templates are in a file there (``row_file``). Answers are the same, to the bit.
    """

    def __init__(
        self,
        dimension: int,
        *,
        threads: int = 1,
        scans_at_once: int = 1,
        scan: Scan | None = None,
        chunk_rows: int = 16384,
        folder: Path | None = None,
    ) -> None:
        self.dimension = dimension
        self._scan = scan or best_scan(dimension, threads=threads)
        self._codec = codec_of(dimension)
        self._table = Table(self._codec, chunk_rows=chunk_rows, folder=folder)
        self._combiner = Combiner(self._answer_all, at_once=scans_at_once)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: int) -> bool:
        return key in self._table

    def keys(self) -> Collection[int]:
        """Give all keys. Only the thread that writes may call it."""
        return self._table.keys()

    def add(self, key: int, template: ArrayLike) -> None:
        """Insert or replace one template. Searches that start after the return see it."""
        self.add_many([checked_key(key)], np.asarray(template)[np.newaxis])

    def add_many(self, keys: Sequence[int] | NDArray[np.int64], templates: ArrayLike) -> None:
        """Insert or replace many rows (n, d). Of equal keys the last one counts. Use it to rebuild an index."""
        rows = checked_rows(templates, self.dimension)
        numbers = checked_keys(keys, len(rows))
        last = {key: position for position, key in enumerate(numbers.tolist())}
        if len(last) < len(numbers):
            kept = np.fromiter(last.values(), np.int64, len(last))
            numbers, rows = numbers[kept], rows[kept]
        self._table.put(numbers, rows)

    def reserve(self, count: int) -> None:
        """Take the disk's room for ``count`` templates in all. Raises OSError when there is less."""
        self._table.reserve(count)

    def remove(self, key: int) -> bool:
        """Delete a template. Searches that start after the return do not see it. False when the key is unknown."""
        return self._table.remove(checked_key(key))

    def search(self, query: ArrayLike, *, k: int = 1, minimum_score: float = -math.inf) -> Answer:
        """Give the k best templates at or above ``minimum_score``, exactly. Concurrent calls may share one scan."""
        checked_bounds(k, minimum_score)
        return self._combiner(_Search(checked_query(query, self.dimension), k, minimum_score))

    def above(self, query: ArrayLike, minimum_score: float) -> Answer:
        """Give every template with a score at or above ``minimum_score``, exactly."""
        checked_bounds(1, minimum_score)
        return self._combiner(_Search(checked_query(query, self.dimension), None, minimum_score))

    @property
    def bytes_per_template(self) -> float:
        """Memory in bytes for each stored template, spare room included."""
        return self.nbytes / max(1, len(self._table))

    @property
    def nbytes(self) -> int:
        """Memory in bytes, spare room included."""
        return self._table.nbytes

    def _answer_all(self, searches: Sequence[_Search]) -> list[Answer]:
        with self._table.reading() as snapshot:
            goals = [
                self._codec.goal(
                    search.query,
                    snapshot.spread,
                    limit=self._scan.limit,
                    wanted=search.k or 0,
                    minimum_score=search.minimum_score,
                )
                for search in searches
            ]
            found = self._scan(snapshot.parts, goals)
            answers = [_answer(snapshot, *each) for each in zip(searches, goals, found, strict=True)]
            for number, (search, goal) in enumerate(zip(searches, goals, strict=True)):
                if snapshot.filed and not answers[number].certified:  # an estimate was farther off than is likely
                    sure = replace(goal, doubt=1.0)
                    (again,) = self._scan(snapshot.parts, [sure])
                    answers[number] = _answer(snapshot, search, sure, again)
            return answers


def least_bytes(count: int, dimension: int) -> int:
    """Give the memory in bytes that an index without a folder takes for ``count`` templates, without spare room."""
    return count * row_bytes(codec_of(dimension))


def best_scan(dimension: int, *, threads: int = 1) -> Scan:
    """Give the compiled scan, or faiss's scan where the compiled one was not built."""
    if compiled.BUILT:
        return CompiledScan(threads=threads)
    from likeness.index.faiss_scan import FaissScan  # noqa: PLC0415  faiss takes long to import, and is rarely needed

    return FaissScan(dimension)


def index_maker(*, threads: int = 1, scans_at_once: int = 1, folder: Path | None = None) -> Callable[[int], ExactIndex]:
    """Give a function that makes an index of a dimension. All its indexes share one scan and its threads."""
    scan = CompiledScan(threads=threads) if compiled.BUILT else None
    return lambda dimension: ExactIndex(dimension, scans_at_once=scans_at_once, scan=scan, folder=folder)


def _answer(snapshot: TableSnapshot, search: _Search, goal: Goal, found: Candidates) -> Answer:
    if not len(found.rows):
        return Answer((), certified=found.cut <= search.minimum_score, size=snapshot.size)
    parts, offsets = found.parts, found.offsets
    sums = snapshot.sums(parts, offsets, found.scores, goal.vector)
    longest = goal.length * snapshot.spread.norm
    scores = rounded_exactly(sums, search.query, longest, lambda number: snapshot.row(parts[number], offsets[number]))
    hits = best_hits(snapshot.keys(parts, offsets), scores, k=search.k, minimum_score=search.minimum_score)
    within = bool((scores <= found.uppers + goal.tolerance).all())
    full = search.k is not None and len(hits) == search.k
    reached = hits[-1].score >= found.cut if full else found.cut <= search.minimum_score
    return Answer(hits, certified=within and reached, size=snapshot.size)
