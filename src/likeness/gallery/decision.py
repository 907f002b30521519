"""From which score on does a search over N entries say that a person was found?

Either from a level on, as in 1:1: then a stranger is falsely found the more often the larger the gallery, since a
search over N entries compares N times. Or from the score that keeps the chance of a false find at a target for the
gallery's present size.

With a false match rate *f* per comparison and N independent comparisons, a stranger is found with probability
FPIR = 1 - (1 - f)^N (ISO/IEC 19795-1, the binomial model); so the target asks for f = 1 - (1 - FPIR)^(1/N). The score
for *f* is interpolated between the pack's calibrated thresholds, linearly in log f. Past the last of them (mostly f <
1e-6) the last segment is continued: false match rates fall faster than that in measured tails, so the threshold errs to
the strict side, but it is not measured, and the decision says so.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from likeness.engine.levels import NEVER, TARGET_FMR, Calibration
from likeness.tenants.schemas import TenantSettings


class Rule(StrEnum):
    """What a threshold was derived from."""

    LEVEL = "level"
    TARGET_FPIR = "targetFpir"


@dataclass(frozen=True, slots=True)
class DecisionThreshold:
    """The threshold of one search, and what it promises at this size of the gallery."""

    rule: Rule
    threshold: float
    level: int
    """The highest level whose threshold this reaches, 0..5."""
    false_match_rate: float
    """Per comparison, at the threshold."""
    expected_fpir: float
    """The chance that a person who is not enrolled is found."""
    extrapolated: bool
    """Whether the threshold lies past the calibrated ones."""


def decide(calibration: Calibration, settings: TenantSettings, *, level: int | None, size: int) -> DecisionThreshold:
    """Decide for one search over ``size`` entries.

    By the call's level, else by the tenant's target FPIR, else by its level.
    """
    if level is None and settings.target_fpir is not None:
        return decide_by_fpir(calibration, settings.target_fpir, size=size)
    return decide_by_level(calibration, settings.search_level if level is None else level, size=size)


def decide_by_level(calibration: Calibration, level: int, *, size: int) -> DecisionThreshold:
    """Find from a level (1..5) on."""
    rate = calibration.false_match_rate(level)
    return DecisionThreshold(
        Rule.LEVEL, calibration.threshold(level), level, rate, expected_fpir(rate, size), extrapolated=False
    )


def decide_by_fpir(calibration: Calibration, target: float, *, size: int) -> DecisionThreshold:
    """Find from the score on that keeps the expected FPIR at ``target`` (0 < target < 1).

    Where level 1 suffices, find from that on.
    """
    wanted = -math.expm1(math.log1p(-target) / max(size, 1))
    points = _points(calibration)
    (highest_rate, _), *_, (lowest_rate, _) = points
    rate = min(wanted, highest_rate)
    threshold = _threshold_for(points, rate)
    return DecisionThreshold(
        Rule.TARGET_FPIR,
        threshold,
        calibration.level(threshold),
        rate,
        expected_fpir(rate, size),
        extrapolated=rate < lowest_rate,
    )


def expected_fpir(false_match_rate: float, size: int) -> float:
    """Give the chance that one of ``size`` independent comparisons matches falsely."""
    if false_match_rate >= 1:
        return float(size > 0)
    return -math.expm1(size * math.log1p(-false_match_rate))


def _threshold_for(points: list[tuple[float, float]], rate: float) -> float:
    """Give the score for a rate no larger than the highest calibrated one."""
    wanted = math.log10(rate)
    in_logs = [(math.log10(each), score) for each, score in points]
    for (high_rate, low_score), (low_rate, high_score) in pairwise(in_logs):
        if wanted >= low_rate:
            return low_score + (high_score - low_score) * (high_rate - wanted) / (high_rate - low_rate or 1.0)
    (high_rate, low_score), (low_rate, high_score) = in_logs[-2:]
    return high_score + (high_score - low_score) * (low_rate - wanted) / (high_rate - low_rate or 1.0)


def _points(calibration: Calibration) -> list[tuple[float, float]]:
    """Give rate and threshold of each level that is given.

    Where too few pairs were compared to measure a rate, its target.
    """
    levels = zip(calibration.measured_fmr, TARGET_FMR, calibration.thresholds, strict=True)
    return [(measured or target, threshold) for measured, target, threshold in levels if threshold < NEVER]
