"""The false match rate of a comparison at any threshold: as the calibration has it, or as a gallery showed it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from likeness.engine.levels import NEVER, TARGET_FMR, Calibration


class MeasuredOn(StrEnum):
    """The comparisons that gave the rates."""

    CALIBRATION = "calibration"
    GALLERY = "gallery"


@dataclass(frozen=True, slots=True)
class RatePoint:
    """A false match rate, per comparison, and its threshold."""

    rate: float
    threshold: float


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Points with rising thresholds and falling rates, at least one.

    Between two points the logarithm of the rate is linear in the threshold. Past the last points, their segment is
    extended. In measured tails, false match rates fall faster than that, so a threshold past the last point is too
    strict rather than too loose.
    """

    points: tuple[RatePoint, ...]
    lowest_measured: float
    """Lower rates are extrapolated."""
    measured_on: MeasuredOn

    @classmethod
    def of(cls, calibration: Calibration) -> "RateCurve":
        """Give the rates of a calibration. Where it has too few pairs to measure a level's rate, take the target."""
        levels = zip(calibration.measured_fmr, TARGET_FMR, calibration.thresholds, strict=True)
        points = tuple(RatePoint(rate or target, threshold) for rate, target, threshold in levels if threshold < NEVER)
        return cls(points, points[-1].rate, MeasuredOn.CALIBRATION)

    def joined(self, measured: tuple[RatePoint, ...]) -> "RateCurve":
        """Give a curve through rates that a gallery showed, at least one.

        Before the first and after the last of them, rates change as on this curve.
        """
        first, last = measured[0], measured[-1]
        below, above = first.rate / self.rate_at(first.threshold), last.rate / self.rate_at(last.threshold)
        before = (RatePoint(each.rate * below, each.threshold) for each in self.points if each.rate * below < 1)
        after = (RatePoint(each.rate * above, each.threshold) for each in self.points)
        points = (
            *(each for each in before if each.threshold < first.threshold and each.rate > first.rate),
            *measured,
            *(each for each in after if each.threshold > last.threshold and each.rate < last.rate),
        )
        return RateCurve(points, last.rate, MeasuredOn.GALLERY)

    def threshold_for(self, rate: float) -> float:
        """Give the lowest threshold with this rate (0 < rate <= 1)."""
        wanted = math.log(rate)
        low, high = self._segment(lambda end: wanted >= math.log(end.rate))
        steps = math.log(low.rate) - math.log(high.rate) or 1.0
        return low.threshold + (high.threshold - low.threshold) * (math.log(low.rate) - wanted) / steps

    def rate_at(self, threshold: float) -> float:
        """Give the rate at a threshold. It is at most 1, and 0 where no score is."""
        if threshold >= NEVER:
            return 0.0
        low, high = self._segment(lambda end: threshold <= end.threshold)
        part = (threshold - low.threshold) / (high.threshold - low.threshold or 1.0)
        return math.exp(min(math.log(low.rate) + (math.log(high.rate) - math.log(low.rate)) * part, 0.0))

    def _segment(self, reaches: Callable[[RatePoint], bool]) -> tuple[RatePoint, RatePoint]:
        """Give the first segment whose end reaches what is wanted, or the last segment."""
        last = self.points[-2:]
        return next((pair for pair in pairwise(self.points) if reaches(pair[1])), (last[0], last[-1]))
