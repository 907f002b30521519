"""Levels are promises: the thresholds at which a pack's false match rate was measured."""

from bisect import bisect_right
from dataclasses import dataclass

LEVELS = (1, 2, 3, 4, 5)
TARGET_FMR = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The target false match rate of levels 1..5."""
NEVER = 2.0
"""The threshold of a level that is not given: no score reaches it. Level 5 has it where too few people were compared to
promise it."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The score thresholds of levels 1..5, ascending, with the data they were measured on; see :data:`NEVER`."""

    thresholds: tuple[float, float, float, float, float]
    measured_fmr: tuple[float, float, float, float, float]
    data_set: str
    genuine_pairs: int
    impostor_pairs: int

    def level(self, score: float) -> int:
        """Give the highest level whose threshold the score reaches; 0 below the lowest."""
        return bisect_right(self.thresholds, score)

    def threshold(self, level: int) -> float:
        """Give the lowest score of a level in 1..5."""
        return self.thresholds[level - 1]

    def false_match_rate(self, level: int) -> float:
        """Give the measured FMR at a level's threshold; 1.0 for level 0, which promises nothing."""
        return self.measured_fmr[level - 1] if level else 1.0
