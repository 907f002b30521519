"""The error-versus-discard characteristic (EDC): FNMR without the photos of the lowest quality.

Source: P. Grother, E. Tabassi, "Performance of biometric quality measures", 2007; ISO/IEC 29794-1 (EDC).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.recognition.comparison import People, TemplateRows

DISCARDED = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
"""The fractions of photos that are left out, the worst photos first."""


@dataclass(frozen=True, slots=True)
class DiscardPoint:
    """The false non-match rate after a fraction of the photos is left out."""

    discarded: float
    fnmr: float
    comparisons: int


def discard_curve(
    rows: TemplateRows,
    people: People,
    quality: NDArray[np.float64],
    threshold: float,
    discarded: tuple[float, ...] = DISCARDED,
) -> tuple[DiscardPoint, ...]:
    """Compute FNMR at a threshold without the fraction of the photos that has the lowest quality.

    Photos of equal quality are left out in their order.
    """
    first, second = genuine_pairs(people)
    missed = np.einsum("nd,nd->n", rows[first], rows[second], dtype=np.float64) < threshold
    rank = np.empty(len(people), np.int64)
    rank[np.argsort(quality, kind="stable")] = np.arange(len(people))
    lower = np.minimum(rank[first], rank[second])
    curve = []
    for fraction in discarded:
        kept = lower >= int(fraction * len(people))
        curve.append(DiscardPoint(fraction, float(missed[kept].mean()) if kept.any() else 0.0, int(kept.sum())))
    return tuple(curve)


def genuine_pairs(people: People) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of all pairs of photos of one person, each pair once."""
    order = np.argsort(people, kind="stable")
    homes = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    pairs = [home[np.stack(np.triu_indices(len(home), 1))] for home in homes if len(home)]
    first, second = np.concatenate([*pairs, np.empty((2, 0), np.int64)], axis=1)
    return first, second
