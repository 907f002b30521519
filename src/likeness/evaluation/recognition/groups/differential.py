"""The differences between groups at one level: of the error rates, the failures to acquire, the scores and the times.

Both photos of every comparison belong to the group. NIST SP 800-63A-4 (2025), section 3.11, asks that the performance
for each demographic group is at most 25 % worse than for all people. Here that is judged of FMR and of FNMR, each by
the interval of its ratio. A ratio whose interval reaches over the bound from one side to the other decides nothing.

Sources: ISO/IEC 19795-10 (what is reported); A. Donner, G. Zou, "Closed-form confidence intervals for functions of the
normal mean and standard deviation", 2012 (an interval from two intervals; here of the difference of two logarithms).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from likeness.evaluation.recognition.groups.scores import ScoreMean
from likeness.evaluation.recognition.performance import GroupRates
from likeness.evaluation.recognition.rates import Rate

SIMILAR = 1.25
"""The largest ratio of a group's error rate to that of all people (NIST SP 800-63A-4, section 3.11)."""
_Z = 1.959964


class Similarity(StrEnum):
    """Whether a group's performance is at most 25 % worse than that of all people."""

    MET = "met"
    NOT_MET = "not met"
    TOO_FEW = "too few"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Differential:
    """How one group differs from all people, and from the best group of the same label.

    A ratio is None if there is no comparison, or no error to divide by.
    """

    label: str
    group: str
    level: int
    failure_to_acquire: Estimate | None
    """As ratio to that of all people. The next two are, too."""
    fmr: Estimate | None
    fnmr: Estimate | None
    fmr_to_best: Estimate | None
    fnmr_to_best: Estimate | None
    genuine_shift: Estimate | None
    """The mean score of the group's genuine comparisons, less that of all. The next one is the same for impostors."""
    impostor_shift: Estimate | None
    median_seconds: float | None
    """The time of one photo's analysis; None if the templates came from a cache."""
    similarity: Similarity


def ratio(rate: Rate, reference: Rate) -> Estimate | None:
    """Divide one rate by another one. The interval takes the two as independent, so it is rather too wide."""
    if not rate.comparisons or reference.low <= 0:
        return None
    if rate.low <= 0:
        return Estimate(rate.value / reference.value, 0.0, rate.high / reference.low)
    value = rate.value / reference.value
    down = math.hypot(math.log(rate.value / rate.low), math.log(reference.high / reference.value))
    up = math.hypot(math.log(rate.high / rate.value), math.log(reference.value / reference.low))
    return Estimate(value, value * math.exp(-down), value * math.exp(up))


def judge(ratios: Sequence[Estimate | None]) -> Similarity:
    """Judge the ratios of a group's error rates to those of all people, each by its whole interval."""
    if any(each is not None and each.low > SIMILAR for each in ratios):
        return Similarity.NOT_MET
    if all(each is not None and each.high <= SIMILAR for each in ratios):
        return Similarity.MET
    return Similarity.TOO_FEW


def differentials(groups: Sequence[GroupRates], whole: GroupRates, *, level: int) -> tuple[Differential, ...]:
    """Compare every group with all people and with the best group of its label, at a level that was measured."""
    return tuple(_differential(group, whole, groups, level) for group in groups)


def _differential(group: GroupRates, whole: GroupRates, groups: Sequence[GroupRates], level: int) -> Differential:
    own, of_all = group.at(level), whole.at(level)
    peers = [each.at(level) for each in groups if each.label == group.label]
    fmr, fnmr = ratio(own.fmr, of_all.fmr), ratio(own.fnmr, of_all.fnmr)
    return Differential(
        label=group.label,
        group=group.group,
        level=level,
        failure_to_acquire=ratio(group.failure_to_acquire, whole.failure_to_acquire),
        fmr=fmr,
        fnmr=fnmr,
        fmr_to_best=_to_best(own.fmr, [peer.fmr for peer in peers]),
        fnmr_to_best=_to_best(own.fnmr, [peer.fnmr for peer in peers]),
        genuine_shift=_shift(group.genuine_score, whole.genuine_score),
        impostor_shift=_shift(group.impostor_score, whole.impostor_score),
        median_seconds=group.median_seconds,
        similarity=judge([fmr, fnmr]),
    )


def _to_best(rate: Rate, peers: Sequence[Rate]) -> Estimate | None:
    """Divide a rate by the lowest rate of these that has an error. The best one itself has the ratio 1."""
    best = min((peer for peer in peers if peer.errors), key=lambda peer: peer.value, default=None)
    if best is None:
        return None
    return Estimate(1.0, 1.0, 1.0) if rate is best else ratio(rate, best)


def _shift(mean: ScoreMean, reference: ScoreMean) -> Estimate | None:
    if not mean.comparisons or not reference.comparisons:
        return None
    value, half = mean.value - reference.value, _Z * math.hypot(mean.standard_error, reference.standard_error)
    return Estimate(value, value - half, value + half)
