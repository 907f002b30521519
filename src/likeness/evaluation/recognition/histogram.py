"""A histogram of scores with very fine bins.

It holds any number of comparisons in a few megabytes, and gives the rate at any threshold.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BINS = 1 << 20
"""The number of bins between -1 and 1. A bin is 1.9e-6 wide, so four decimals of a score are far coarser."""


def _empty() -> NDArray[np.int64]:
    return np.zeros(BINS, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """The number of scores in each bin. A threshold is always a bin's lower edge, so the counts at it are exact."""

    counts: NDArray[np.int64] = field(default_factory=_empty)

    def add(self, scores: NDArray[np.float32]) -> None:
        """Add scores of any shape. A cosine that is outside -1..1 after rounding counts at the nearest end."""
        self.counts.__iadd__(np.bincount(_bins_of(scores.ravel()), minlength=BINS))

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def at_or_above(self, threshold: float) -> int:
        """Return how many scores reach a threshold, rounded down to its bin's lower edge."""
        return int(self.counts[int(_bins_of(np.array([threshold]))[0]) :].sum())

    def reaching(self) -> NDArray[np.int64]:
        """Return for every bin how many scores reach its lower edge, then one more entry, which is 0."""
        return np.append(self.counts[::-1].cumsum()[::-1], 0)

    def threshold_for(self, rate: float) -> float:
        """Return the lowest threshold that at most the fraction ``rate`` of the scores reaches."""
        allowed = int(np.floor(rate * self.total + 1e-9))
        return edge(int(np.argmax(self.reaching() <= allowed)))

    def density(self, bars: int, low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the (centres, probability density) of ``bars`` bars between two scores."""
        edges = np.linspace(low, high, bars + 1)
        above = self.reaching()[np.clip(np.ceil((edges + 1) / 2 * BINS).astype(int), 0, BINS)]
        return (edges[1:] + edges[:-1]) / 2, -np.diff(above) / max(self.total, 1) / ((high - low) / bars)


def edge(position: int) -> float:
    """Return the lower edge of a bin."""
    return position * 2 / BINS - 1


def _bins_of(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    # float64 represents every bin's edge exactly, so a score on an edge counts in the bin above it.
    return np.clip(((scores.astype(np.float64) + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
