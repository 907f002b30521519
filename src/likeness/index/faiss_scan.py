"""The scan where the compiled one could not be built: faiss's scalar-quantiser scanner, one query at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index.codes import LIMIT, Goal, scales_of
from likeness.index.scans import ROW_BITS, Candidates, RowBlock


class FaissScan:
    """A scan of the same codes by faiss's scanner. It ignores half codes.

    Factors are small whole numbers, so every partial sum is below 2**24 and exact in float32. faiss multiplies in
    floats, or rounds the query to bytes first. In both cases its dot product is the integer one.

    faiss keeps the largest dot products of a part. So a part is searched for a pool of them, and again for a larger
    pool. The search ends when the least in the pool proves that no row outside can reach the cut.
    """

    _POOL = 64
    _FACTOR = 8

    def __init__(self, dimension: int) -> None:
        self._pitch = -(-dimension // 64) * 64
        self.limit = min(LIMIT, 2**24 // (LIMIT * dimension))
        if not self.limit:
            raise ValueError(f"this scan cannot sum {dimension} dimensions exactly")
        self._quantiser: Any = faiss.ScalarQuantizer(self._pitch, faiss.ScalarQuantizer.QT_8bit_direct_signed)
        self._flat = faiss.IndexFlat(self._pitch, faiss.METRIC_INNER_PRODUCT)
        self._idle: list[Any] = []  # scanners to use again, because faiss's Python never frees one

    def __call__(self, parts: tuple[RowBlock, ...], goals: Sequence[Goal]) -> list[Candidates]:
        try:
            scanner = self._idle.pop()
        except IndexError:
            scanner = self._quantiser.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, self._flat, True, None)
        try:
            return [self._find(scanner, parts, goal) for goal in goals]
        finally:
            self._idle.append(scanner)

    def _find(self, scanner: Any, parts: tuple[RowBlock, ...], goal: Goal) -> Candidates:
        factors = goal.factors.astype(np.float32)
        scanner.set_query(faiss.swig_ptr(factors))
        scanner.set_list(0, 0.0)
        size = max(self._POOL, goal.wanted)
        cut = goal.minimum - goal.tolerance
        pools = [_Pool.drawn(scanner, part, goal, size) for part in parts]
        if goal.wanted:
            lowers = np.concatenate([pool.lowers for pool in pools] or [np.empty(0)])
            if len(lowers) >= goal.wanted:
                best = np.partition(lowers, len(lowers) - goal.wanted)[len(lowers) - goal.wanted]
                cut = max(cut, float(best) - 2 * goal.tolerance)
        rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        scores: list[NDArray[np.float64]] = [np.empty(0)]
        uppers: list[NDArray[np.float64]] = [np.empty(0)]
        query = goal.vector.astype(np.float64)
        for number, (part, first_pool) in enumerate(zip(parts, pools, strict=True)):
            pool = first_pool
            while pool.size < part.size and pool.ceiling >= cut:
                pool = _Pool.drawn(scanner, part, goal, pool.size * self._FACTOR)
            kept = pool.uppers >= cut
            rows.append(pool.rows[kept] | (number << ROW_BITS))
            given = part.rows
            scores.append(pool.estimates[kept] if given is None else given[pool.rows[kept]].astype(np.float64) @ query)
            uppers.append(pool.uppers[kept])
        return Candidates(np.concatenate(rows), np.concatenate(scores), np.concatenate(uppers), cut)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The rows of a part with the largest dot products. ``ceiling`` is an upper bound of all other rows."""

    size: int
    rows: NDArray[np.int64]
    estimates: NDArray[np.float64]
    lowers: NDArray[np.float64]
    uppers: NDArray[np.float64]
    ceiling: float

    @classmethod
    def drawn(cls, scanner: Any, part: RowBlock, goal: Goal, size: int) -> "_Pool":
        all_scales, alive, count = scales_of(part.terms), part.alive, part.size
        size = min(size, count)
        dots, rows = np.full(size, -np.inf, np.float32), np.full(size, -1, np.int64)
        if count:
            scanner.scan_codes(
                count, faiss.swig_ptr(part.codes), None, faiss.swig_ptr(dots), faiss.swig_ptr(rows), size
            )
        ceiling = -np.inf
        if size < count:
            most = goal.step * float(dots.min()) + goal.allowance
            ceiling = most * float(all_scales[:count].max() if most > 0 else all_scales[:count].min())
        if alive is not None:
            counted = alive[rows] != 0
            dots, rows = dots[counted], rows[counted]
        scales = all_scales[rows].astype(np.float64)
        estimates, allowances = scales * goal.step * dots.astype(np.float64), scales * goal.allowance
        return cls(size, rows, estimates, estimates - allowances, estimates + allowances, ceiling)
