"""The score of two templates. Its definition makes every machine and every scan give the same 32 bits.

The product of two float32 numbers is exact in float64. A score is *the sum of these exact products, correctly rounded
to float64 and then to float32*. ``math.fsum`` computes it. It does not depend on the order of summation, the BLAS or
the width of the registers. So ties are ties everywhere. A score that reaches a threshold in one index reaches it in
every index.

A float64 sum in any order has an error of at most ``d * 2**-53 * |x||q|`` (Higham, Accuracy and Stability of Numerical
Algorithms, §3.1). When both ends of this interval round to the same float32, the score is settled. ``fsum`` sums the
few others.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from likeness.index.base import Hit

_BLOCK_ROWS = 4096


def exact_scores(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each of (n, d) rows against a (d,) query: (n,) float32, the same bits on every machine."""
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
    """Give (n,) float32 scores for (n,) float64 sums of the products, summed in any order.

    ``longest`` is at least the largest |x||q|. ``row`` gives the vector x of a sum by the sum's number. It is called
    for the few sums that are not settled.
    """
    # Twice the bound: the other half covers the rounding of the lengths and of the interval's own ends.
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
    """Rank by falling score, then by rising key. Keep the first ``k`` (None: all) at or above ``minimum_score``."""
    kept = np.flatnonzero(scores.astype(np.float64) >= minimum_score)
    if k is not None and k < len(kept):
        least = np.partition(scores[kept], len(kept) - k)[len(kept) - k]
        kept = kept[scores[kept] >= least]
    if len(kept) > 1:
        kept = kept[np.lexsort((keys[kept], -scores[kept]))][:k]
    return tuple(map(Hit, keys[kept].tolist(), scores[kept].tolist()))
