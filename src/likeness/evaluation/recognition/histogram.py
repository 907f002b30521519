"""Scores counted in very fine bins.

Millions of comparisons fit into a few megabytes, and any rate can be read off.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BINS = 1 << 20
"""Of the scores from -1 to 1: a bin is 1.9e-6 wide, a tenth of what the contract's four decimals show."""


def _empty() -> NDArray[np.int64]:
    return np.zeros(BINS, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """How many scores fell into each bin. A threshold is always a bin's lower edge, so that counts at it are exact."""

    counts: NDArray[np.int64] = field(default_factory=_empty)

    def add(self, scores: NDArray[np.float32]) -> None:
        """Count scores of any shape; cosines that rounding put beyond -1 or 1 count there."""
        self.counts.__iadd__(np.bincount(_bins_of(scores.ravel()), minlength=BINS))

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def at_or_above(self, threshold: float) -> int:
        """Give how many scores reach a threshold (the lower edge of the bin it falls into)."""
        return int(self.counts[int(_bins_of(np.array([threshold]))[0]) :].sum())

    def reaching(self) -> NDArray[np.int64]:
        """Give for every bin how many scores reach its lower edge; one more entry, 0, for what no score reaches."""
        return np.append(self.counts[::-1].cumsum()[::-1], 0)

    def threshold_for(self, rate: float) -> float:
        """Give the lowest threshold that no more than ``rate`` of the scores reach."""
        allowed = int(np.floor(rate * self.total + 1e-9))
        return edge(int(np.argmax(self.reaching() <= allowed)))

    def density(self, bars: int, low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give (centres, probability density) of ``bars`` bars between two scores."""
        edges = np.linspace(low, high, bars + 1)
        above = self.reaching()[np.clip(np.ceil((edges + 1) / 2 * BINS).astype(int), 0, BINS)]
        return (edges[1:] + edges[:-1]) / 2, -np.diff(above) / max(self.total, 1) / ((high - low) / bars)


def edge(position: int) -> float:
    """Give the lower edge of a bin."""
    return position * 2 / BINS - 1


def _bins_of(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    # float64 holds every bin's edge exactly, so a score on an edge falls above it.
    return np.clip(((scores.astype(np.float64) + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
