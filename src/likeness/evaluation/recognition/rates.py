"""Error rates with confidence intervals that know that comparisons of the same people are not independent.

A person who looks like many others, or like nobody on one photo, spoils many comparisons at once. So the spread of a
rate is estimated by leaving out one person at a time (the jackknife; of impostor comparisons each person's share is
those that they take part in). It gives the number of independent comparisons that would spread as much, the effective
number, and Wilson's interval is taken for that number: it stays within 0 and 1 and is never empty. Where no error was
seen, the effective number is that of comparisons that share no person.

Sources: ISO/IEC 19795-1 (rates, the dependence of cross-comparisons); B. Efron, C. Stein, "The jackknife estimate of
variance", 1981; E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data", 1998 (the effective number).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964
"""Two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate, its 95 % confidence interval, and the counts behind it."""

    value: float
    low: float
    high: float
    errors: int
    comparisons: int


def impostor_rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64]) -> Rate:
    """Give a rate over impostor comparisons from each person's (p,) counts, in which every comparison counts twice."""
    return _rate(errors, comparisons, times_counted=2)


def genuine_rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64]) -> Rate:
    """Give a rate over comparisons (or photos) that each belong to one person, from each person's (p,) counts."""
    return _rate(errors, comparisons, times_counted=1)


def wilson(fraction: float, number: float) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a fraction among ``number`` independent trials; (0, 1) where there were none."""
    if number <= 0:
        return 0.0, 1.0
    centre = (fraction + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    half = _Z / (1 + _Z**2 / number) * np.sqrt(fraction * (1 - fraction) / number + _Z**2 / (4 * number**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64], *, times_counted: int) -> Rate:
    wrong, total = int(errors.sum()) // times_counted, int(comparisons.sum()) // times_counted
    if total == 0:
        return Rate(0.0, 0.0, 1.0, 0, 0)
    fraction = wrong / total
    low, high = wilson(fraction, _effective_number(errors, comparisons, fraction, wrong, total, times_counted))
    return Rate(fraction, min(low, fraction), max(high, fraction), wrong, total)


def _effective_number(
    errors: NDArray[np.int64],
    comparisons: NDArray[np.int64],
    fraction: float,
    wrong: int,
    total: int,
    times_counted: int,
) -> float:
    taking_part = comparisons > 0
    people = int(taking_part.sum())
    if wrong in {0, total}:
        return people / times_counted
    rest = total - comparisons[taking_part]
    if people < 2 or not rest.all():
        return people / times_counted
    without = (wrong - errors[taking_part]) / rest
    variance = (people - 1) / people * float(((without - without.mean()) ** 2).sum())
    if variance <= 0:
        return float(total)
    return float(min(fraction * (1 - fraction) / variance, total))
