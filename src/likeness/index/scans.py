"""Scans over the codes: which rows can still be among the answers.

Whatever a scan leaves out is proven to score below its cut. The compiled scan (``native/``) reads the codes once for
all the queries it is given; where it could not be built, faiss's scalar-quantiser scanner reads them once a query.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index import compiled
from likeness.index.codes import LIMIT, Goal

Part = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8] | None, int]
"""(rows, pitch) codes, (rows,) scales, (rows,) nonzero where a row counts (None: all do), and how many rows to read."""

_ROW_BITS = 32
_ROWS_WORTH_A_THREAD = 65536


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may score at or above ``cut``, as ``part << 32 | row``, each with an upper bound less the slack."""

    rows: NDArray[np.uint64]
    uppers: NDArray[np.float32]
    cut: float

    @property
    def parts(self) -> NDArray[np.int64]:
        return (self.rows >> np.uint64(_ROW_BITS)).astype(np.int64)

    @property
    def offsets(self) -> NDArray[np.int64]:
        return (self.rows & np.uint64(2**_ROW_BITS - 1)).astype(np.int64)


class Scan(Protocol):
    """Finds candidates; ``limit`` is the largest absolute value it takes in a query's factors."""

    limit: int

    def __call__(self, parts: tuple[Part, ...], goals: Sequence[Goal]) -> list[Candidates]: ...


class CompiledScan:
    """The own kernel, one pass for all goals. ``threads`` share the parts when there are enough rows for each."""

    def __init__(self, kernel: str | None = None, *, threads: int = 1) -> None:
        if not compiled.BUILT:
            raise RuntimeError("the compiled scan was not built")
        kernels = dict(compiled.kernels())
        self.kernel = kernel or next(iter(kernels))
        self.limit = kernels[self.kernel]
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, "scan") if threads > 1 else None

    def __call__(self, parts: tuple[Part, ...], goals: Sequence[Goal]) -> list[Candidates]:
        request = (
            np.stack([goal.factors for goal in goals]),
            np.array([goal.wanted for goal in goals], np.int64),
            np.array([(goal.step, goal.allowance, goal.slack, goal.minimum) for goal in goals], np.float64),
        )
        shares = min(self._threads, sum(part[3] for part in parts) // _ROWS_WORTH_A_THREAD, len(parts))
        if self._executor is None or shares < 2:
            return self._scan(parts, request, 0)
        bounds = [len(parts) * share // shares for share in range(shares + 1)]
        runs = [
            self._executor.submit(self._scan, parts[first:last], request, first) for first, last in pairwise(bounds[1:])
        ]
        own = self._scan(parts[: bounds[1]], request, 0)
        return [_together(shares) for shares in zip(own, *(run.result() for run in runs), strict=True)]

    def _scan(self, parts: tuple[Part, ...], request: tuple[Any, Any, Any], first_part: int) -> list[Candidates]:
        return [
            Candidates(
                np.frombuffer(rows, np.uint64) + np.uint64(first_part << _ROW_BITS),
                np.frombuffer(uppers, np.float32),
                cut,
            )
            for rows, uppers, cut in compiled.scan(self.kernel, parts, *request)
        ]


def _together(found: Sequence[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([share.rows for share in found]),
        np.concatenate([share.uppers for share in found]),
        max(share.cut for share in found),
    )


class FaissScan:
    """faiss's scanner over the same bytes, a query at a time.

    Factors are whole numbers so small that every partial sum is below 2**24, hence exact in float32: whether faiss
    multiplies in floats or rounds the query to bytes first, its dot product is the integer one.

    faiss keeps the largest dot products of a part, so a part is searched for a pool of them, and again for a larger
    pool, until the least in the pool proves that no row outside can reach the cut.
    """

    _POOL = 64
    _FACTOR = 8

    def __init__(self, dimension: int) -> None:
        self._pitch = -(-dimension // 64) * 64
        self.limit = min(LIMIT, 2**24 // (LIMIT * dimension))
        if not self.limit:
            raise ValueError(f"{dimension} dimensions are more than this scan sums exactly")
        self._quantiser: Any = faiss.ScalarQuantizer(self._pitch, faiss.ScalarQuantizer.QT_8bit_direct_signed)
        self._flat = faiss.IndexFlat(self._pitch, faiss.METRIC_INNER_PRODUCT)

    def __call__(self, parts: tuple[Part, ...], goals: Sequence[Goal]) -> list[Candidates]:
        return [self._find(parts, goal) for goal in goals]

    def _find(self, parts: tuple[Part, ...], goal: Goal) -> Candidates:
        factors = goal.factors.astype(np.float32)
        scanner: Any = self._quantiser.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, self._flat, True, None)
        scanner.set_query(faiss.swig_ptr(factors))
        scanner.set_list(0, 0.0)
        size = max(self._POOL, goal.wanted)
        cut = goal.minimum - goal.slack
        pools = [_Pool.drawn(scanner, part, goal, size) for part in parts]
        if goal.wanted:
            lowers = np.concatenate([pool.uppers - 2 * pool.scales * goal.allowance for pool in pools] or [np.empty(0)])
            if len(lowers) >= goal.wanted:
                best = np.partition(lowers, len(lowers) - goal.wanted)[len(lowers) - goal.wanted]
                cut = max(cut, float(best) - 2 * goal.slack)
        rows: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        uppers: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        for number, (part, first_pool) in enumerate(zip(parts, pools, strict=True)):
            pool = first_pool
            while pool.size < part[3] and pool.ceiling >= cut:
                pool = _Pool.drawn(scanner, part, goal, pool.size * self._FACTOR)
            kept = pool.uppers >= cut
            rows.append(pool.rows[kept].astype(np.uint64) | np.uint64(number << _ROW_BITS))
            uppers.append(pool.uppers[kept].astype(np.float32))
        return Candidates(np.concatenate(rows), np.concatenate(uppers), cut)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The rows of a part with the largest dot products, and the most any other row may reach."""

    size: int
    rows: NDArray[np.int64]
    scales: NDArray[np.float64]
    uppers: NDArray[np.float64]
    ceiling: float

    @classmethod
    def drawn(cls, scanner: Any, part: Part, goal: Goal, size: int) -> "_Pool":
        codes, all_scales, alive, count = part
        size = min(size, count)
        dots, rows = np.full(size, -np.inf, np.float32), np.full(size, -1, np.int64)
        if count:
            scanner.scan_codes(count, faiss.swig_ptr(codes), None, faiss.swig_ptr(dots), faiss.swig_ptr(rows), size)
        ceiling = -np.inf
        if size < count:
            most = goal.step * float(dots.min()) + goal.allowance
            ceiling = most * float(all_scales[:count].max() if most > 0 else all_scales[:count].min())
        if alive is not None:
            counted = alive[rows] != 0
            dots, rows = dots[counted], rows[counted]
        scales = all_scales[rows].astype(np.float64)
        return cls(size, rows, scales, scales * (goal.step * dots.astype(np.float64) + goal.allowance), ceiling)


def best_scan(dimension: int, *, threads: int = 1) -> Scan:
    """Give the compiled scan, or faiss's where it was not built."""
    return CompiledScan(threads=threads) if compiled.BUILT else FaissScan(dimension)
