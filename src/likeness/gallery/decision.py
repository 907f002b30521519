"""The decision threshold: the score from which a search over N entries reports a person as found.

There are two rules. With a level, as in 1:1, a larger gallery finds strangers more often, because a search over N
entries makes N comparisons. With a target, the threshold keeps the false-positive identification rate (FPIR) at the
target for the gallery's present size.

With a false match rate *f* per comparison and N independent comparisons, a stranger is found with probability
FPIR = 1 - (1 - f)^N (ISO/IEC 19795-1, the binomial model). So the target needs f = 1 - (1 - FPIR)^(1/N). The score
for *f* is interpolated between the pack's calibrated thresholds, linearly in log f. Past the last of them (mostly f <
1e-6) the last segment is extended. In measured tails, false match rates fall faster than that, so the threshold is too
strict rather than too loose. It is not measured, and the decision says so.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from likeness.engine.levels import NEVER, TARGET_FMR, Calibration
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
    """Whether the threshold is past the calibrated ones."""


def decide(calibration: Calibration, settings: TenantSettings, *, level: int | None, size: int) -> DecisionThreshold:
    """Give the threshold of one search over ``size`` entries.

    The call's ``level`` decides. Without one the tenant's target FPIR decides, and without that the tenant's level.
    """
    if level is None and settings.target_fpir is not None:
        return decide_by_fpir(calibration, settings.target_fpir, size=size)
    return decide_by_level(calibration, settings.search_level if level is None else level, size=size)


def decide_by_level(calibration: Calibration, level: int, *, size: int) -> DecisionThreshold:
    """Give the threshold of a level (1..5)."""
    rate = calibration.false_match_rate(level)
    return DecisionThreshold(
        Rule.LEVEL, calibration.threshold(level), level, rate, expected_fpir(rate, size), extrapolated=False
    )


def decide_by_fpir(calibration: Calibration, target: float, *, size: int) -> DecisionThreshold:
    """Give the threshold that keeps the expected FPIR at ``target`` (0 < target < 1).

    It is never below the threshold of level 1.
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
    """Give the chance that at least one of ``size`` independent comparisons is a false match."""
    if false_match_rate >= 1:
        return float(size > 0)
    return -math.expm1(size * math.log1p(-false_match_rate))


def _threshold_for(points: list[tuple[float, float]], rate: float) -> float:
    """Give the score for a rate. The rate is at most the highest calibrated one."""
    wanted = math.log10(rate)
    in_logs = [(math.log10(each), score) for each, score in points]
    for (high_rate, low_score), (low_rate, high_score) in pairwise(in_logs):
        if wanted >= low_rate:
            return low_score + (high_score - low_score) * (high_rate - wanted) / (high_rate - low_rate or 1.0)
    (high_rate, low_score), (low_rate, high_score) = in_logs[-2:]
    return high_score + (high_score - low_score) * (low_rate - wanted) / (high_rate - low_rate or 1.0)


def _points(calibration: Calibration) -> list[tuple[float, float]]:
    """Give the false match rate and the threshold of each calibrated level.

    Where too few pairs were compared to measure a rate, give its target.
    """
    levels = zip(calibration.measured_fmr, TARGET_FMR, calibration.thresholds, strict=True)
    return [(measured or target, threshold) for measured, target, threshold in levels if threshold < NEVER]
