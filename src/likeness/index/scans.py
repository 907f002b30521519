"""Scans over the codes. They find the rows that can be among the answers.

Every row that a scan leaves out is proven to score below its cut. The compiled scan (``native/``) reads the half codes
once for all its queries. Where these leave too many rows, it reads the codes. ``faiss_scan`` is for machines where the
compiled scan could not be built. It reads the codes once for each query.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.index import compiled
from likeness.index.codes import Goal

ROW_BITS = 32
_ROWS_WORTH_A_THREAD = 65536
_FOUND = np.dtype([("row", np.int64), ("score", np.float64), ("upper", np.float64)])


class RowBlock(NamedTuple):
    """Rows to scan: the first ``size`` rows, without those whose ``alive`` is 0. When ``alive`` is None, all count."""

    codes: NDArray[np.uint8]
    """(rows, pitch)"""
    terms: NDArray[np.uint32]
    halves: NDArray[np.uint8]
    """(rows, half_pitch)"""
    half_terms: NDArray[np.uint32]
    rows: NDArray[np.float32] | None
    """(rows, d), the templates as given. None: they are not in memory."""
    alive: NDArray[np.uint8] | None
    size: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may score at or above ``cut``, as ``part << 32 | row``.

    ``scores`` are sums in float64. ``uppers`` are upper bounds of the scores, less the goal's tolerance. When a row's
    template is not in memory, its score is an estimate from its codes.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    uppers: NDArray[np.float64]
    cut: float

    @property
    def parts(self) -> NDArray[np.int64]:
        return self.rows >> ROW_BITS

    @property
    def offsets(self) -> NDArray[np.int64]:
        offsets: NDArray[np.int64] = self.rows & (2**ROW_BITS - 1)
        return offsets


class Scan(Protocol):
    """Finds candidates. ``limit`` is the largest absolute value that a query's factors may have."""

    limit: int

    def __call__(self, parts: tuple[RowBlock, ...], goals: Sequence[Goal]) -> list[Candidates]: ...


class CompiledScan:
    """The compiled kernels: one pass for all goals. ``threads`` share the parts when each gets enough rows.

    ``kernel`` is the name of a kernel of this machine. The default is the best one.
    """

    def __init__(self, kernel: str | None = None, *, threads: int = 1) -> None:
        if not compiled.BUILT:
            raise RuntimeError("the compiled scan was not built")
        kernels = dict(compiled.kernels())
        self.kernel = kernel or next(iter(kernels))
        self.limit = kernels[self.kernel]
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, "scan") if threads > 1 else None

    def __call__(self, parts: tuple[RowBlock, ...], goals: Sequence[Goal]) -> list[Candidates]:
        request = (
            np.array([goal.vector for goal in goals]),
            np.array([goal.factors for goal in goals]),
            np.array([goal.wanted for goal in goals], np.int64),
            np.array([_bounds(goal) for goal in goals], np.float64),
        )
        shares = min(self._threads, sum(part.size for part in parts) // _ROWS_WORTH_A_THREAD, len(parts))
        if self._executor is None or shares < 2:
            return self._scan(parts, request, 0)
        bounds = [len(parts) * share // shares for share in range(shares + 1)]
        runs = [
            self._executor.submit(self._scan, parts[first:last], request, first) for first, last in pairwise(bounds[1:])
        ]
        own = self._scan(parts[: bounds[1]], request, 0)
        return [_together(shares) for shares in zip(own, *(run.result() for run in runs), strict=True)]

    def _scan(
        self, parts: tuple[RowBlock, ...], request: tuple[Any, Any, Any, Any], first_part: int
    ) -> list[Candidates]:
        return [
            Candidates(rows["row"] + (first_part << ROW_BITS), rows["score"], rows["upper"], cut)
            for buffer, cut in compiled.scan(self.kernel, parts, *request)
            for rows in [np.frombuffer(buffer, _FOUND)]
        ]


def _bounds(goal: Goal) -> tuple[float, ...]:
    return goal.step, goal.allowance, goal.length, goal.tolerance, goal.margin, goal.minimum, goal.doubt


def _together(found: Sequence[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([share.rows for share in found]),
        np.concatenate([share.scores for share in found]),
        np.concatenate([share.uppers for share in found]),
        max(share.cut for share in found),
    )
