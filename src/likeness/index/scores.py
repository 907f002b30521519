"""The score of two templates, defined so that every machine and every way of scanning gives the same 32 bits.

A product of two float32 numbers is exact in float64, so a score is *the sum of the exact products, correctly rounded to
float64 and then to float32*. That is what ``math.fsum`` gives, and it does not depend on the order of summation, on the
BLAS or on the width of the registers. Ties are therefore ties everywhere, and a score that reaches a threshold here
reaches it in every index.

Summing in any order in float64 is off by at most ``d * 2**-53 * |x||q|`` (Higham, Accuracy and Stability of Numerical
Algorithms, §3.1). Where both ends of that interval round to one float32 the score is settled; the few that are not
are summed with ``fsum``.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from likeness.index.base import Hit

_BLOCK_ROWS = 4096


def exact_scores(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each of (n, d) rows against a (d,) query: (n,) float32, the same bits however it is computed."""
    if len(rows) > _BLOCK_ROWS:
        blocks = range(0, len(rows), _BLOCK_ROWS)
        return np.concatenate([exact_scores(rows[start : start + _BLOCK_ROWS], query) for start in blocks])
    wide, wide_query = rows.astype(np.float64), query.astype(np.float64)
    longest = math.sqrt(np.einsum("ij,ij->i", wide, wide).max(initial=0) * (wide_query @ wide_query))
    return rounded_exactly(wide @ wide_query, query, longest, rows.__getitem__)


def rounded_exactly(
    sums: NDArray[np.float64],
    query: NDArray[np.float32],
    longest: float,
    row: Callable[[int], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Give (n,) float32 scores for (n,) sums of the products, in whatever order they were summed.

    ``longest`` is at least every |x||q|; ``row`` gives the vector x of the sum of that number, for the few that need
    it.
    """
    # Twice the bound: the doubling pays for the rounding of the lengths and of the interval's own ends.
    tolerance = longest * (2 * (len(query) + 4) * 2.0**-53)
    scores: NDArray[np.float32] = (sums - tolerance).astype(np.float32)
    unsettled = scores != (sums + tolerance).astype(np.float32)
    if unsettled.any():
        wide = query.astype(np.float64)
        for number in np.flatnonzero(unsettled).tolist():
            scores[number] = math.fsum(row(number) * wide)
    return scores + np.float32(0)  # no negative zero


def best_hits(
    keys: NDArray[np.int64], scores: NDArray[np.float32], *, k: int | None, minimum_score: float
) -> tuple[Hit, ...]:
    """Rank by falling score, then rising key; keep the first ``k`` (None: all) at or above ``minimum_score``."""
    kept = np.flatnonzero(scores.astype(np.float64) >= minimum_score)
    if k is not None and k < len(kept):
        least = np.partition(scores[kept], len(kept) - k)[len(kept) - k]
        kept = kept[scores[kept] >= least]
    if len(kept) > 1:
        kept = kept[np.lexsort((keys[kept], -scores[kept]))][:k]
    return tuple(map(Hit, keys[kept].tolist(), scores[kept].tolist()))
