"""The decision threshold: the score from which a search over N entries reports a person as found.

There are two rules. With a level, as in 1:1, a larger gallery finds strangers more often, because a search over N
entries makes N comparisons. With a target, the threshold keeps the false-positive identification rate (FPIR) at the
target for the gallery's present size.

With a false match rate *f* per comparison and N independent comparisons, a stranger is found with probability
FPIR = 1 - (1 - f)^N (ISO/IEC 19795-1, the binomial model). So the target needs f = 1 - (1 - FPIR)^(1/N). The score
for *f* comes from the rates that the gallery itself showed (``likeness.gallery.fpir``), or else from the pack's
calibration. Past the lowest measured rate it is extrapolated, and the decision says so.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from likeness.engine.levels import Calibration
from likeness.gallery.fpir.curve import MeasuredOn, RateCurve
from likeness.tenants.schemas import TenantSettings


class Rule(StrEnum):
    """The rule that gave a threshold."""

    LEVEL = "level"
    TARGET_FPIR = "targetFpir"


@dataclass(frozen=True, slots=True)
class DecisionThreshold:
    """The threshold of one search, and its expected error rates at the gallery's size."""

    rule: Rule
    threshold: float
    level: int
    """The highest level whose threshold this one reaches, 0..5."""
    false_match_rate: float
    """Per comparison, at the threshold."""
    expected_fpir: float
    """The chance that a search finds a person who is not enrolled."""
    extrapolated: bool
    """Whether the threshold is past the measured ones."""
    measured_on: MeasuredOn = MeasuredOn.CALIBRATION
    """The comparisons that gave the rates."""


def decide(
    calibration: Calibration,
    settings: TenantSettings,
    *,
    level: int | None,
    size: int,
    shown: RateCurve | None = None,
) -> DecisionThreshold:
    """Give the threshold of one search over ``size`` entries.

    The call's ``level`` decides. Without one the tenant's target FPIR decides, and without that the tenant's level.
    ``shown`` has the rates that the gallery itself showed.
    """
    if level is None and settings.target_fpir is not None:
        return decide_by_fpir(calibration, settings.target_fpir, size=size, shown=shown)
    level = settings.search_level if level is None else level
    return decide_by_level(calibration, level, size=size, shown=shown)


def decide_by_level(
    calibration: Calibration, level: int, *, size: int, shown: RateCurve | None = None
) -> DecisionThreshold:
    """Give the threshold of a level (1..5)."""
    threshold = calibration.threshold(level)
    rate = shown.rate_at(threshold) if shown else calibration.false_match_rate(level)
    return DecisionThreshold(
        Rule.LEVEL,
        threshold,
        level,
        rate,
        expected_fpir(rate, size),
        extrapolated=shown is not None and rate < shown.lowest_measured,
        measured_on=shown.measured_on if shown else MeasuredOn.CALIBRATION,
    )


def decide_by_fpir(
    calibration: Calibration, target: float, *, size: int, shown: RateCurve | None = None
) -> DecisionThreshold:
    """Give the threshold that keeps the expected FPIR at ``target`` (0 < target < 1).

    It is never below the threshold of level 1.
    """
    curve = shown or RateCurve.of(calibration)
    rate = min(rate_for(target, comparisons=size), curve.rate_at(calibration.threshold(1)))
    threshold = curve.threshold_for(rate)
    return DecisionThreshold(
        Rule.TARGET_FPIR,
        threshold,
        calibration.level(threshold),
        rate,
        expected_fpir(rate, size),
        extrapolated=rate < curve.lowest_measured,
        measured_on=curve.measured_on,
    )


def expected_fpir(false_match_rate: float, size: int) -> float:
    """Give the chance that at least one of ``size`` independent comparisons is a false match."""
    if false_match_rate >= 1:
        return float(size > 0)
    return -math.expm1(size * math.log1p(-false_match_rate))


def rate_for(fpir: float, *, comparisons: int) -> float:
    """Give the false match rate of independent comparisons whose search has this FPIR (0 <= fpir < 1)."""
    return -math.expm1(math.log1p(-fpir) / max(comparisons, 1))
