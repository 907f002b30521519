"""Levels of comparison scores: each has a threshold at which a pack's false match rate was measured."""

from bisect import bisect_right
from dataclasses import dataclass

LEVELS = (1, 2, 3, 4, 5)
TARGET_FMR = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The target false match rate of levels 1..5."""
NEVER = 2.0
"""The threshold of a level that the pack does not give; no score reaches it. Level 5 has it after a calibration with
too few people."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The score thresholds of levels 1..5, ascending, and the data of their measurement; see :data:`NEVER`."""

    thresholds: tuple[float, float, float, float, float]
    measured_fmr: tuple[float, float, float, float, float]
    data_set: str
    genuine_pairs: int
    impostor_pairs: int

    def level(self, score: float) -> int:
        """Return the highest level whose threshold the score reaches, or 0 if it reaches none."""
        return bisect_right(self.thresholds, score)

    def threshold(self, level: int) -> float:
        """Return the lowest score of a level in 1..5."""
        return self.thresholds[level - 1]

    def false_match_rate(self, level: int) -> float:
        """Return the measured FMR at a level's threshold, or 1.0 for level 0."""
        return self.measured_fmr[level - 1] if level else 1.0
