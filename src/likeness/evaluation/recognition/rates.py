"""Error rates with confidence intervals for comparisons that are not independent, because they share people.

A person who looks like many others causes errors in many comparisons at once. So does a photo on which a person looks
unlike themselves. So the variance of a rate is estimated by leaving out one person at a time (the jackknife), with all
comparisons that the person takes part in. The effective number is the number of independent comparisons with the same
variance. The interval is Wilson's for that number. It stays within 0 and 1 and is never empty. If there was no error,
the effective number is the number of comparisons that share no person.

Sources: ISO/IEC 19795-1 (rates, the dependence of cross-comparisons); B. Efron, C. Stein, "The jackknife estimate of
variance", 1981; E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data", 1998 (the effective number).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964
"""The quantile of the normal distribution for a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate, its 95 % confidence interval, and its counts."""

    value: float
    low: float
    high: float
    errors: int
    comparisons: int


def impostor_rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64]) -> Rate:
    """Compute a rate over impostor comparisons from each person's (p,) counts, where every comparison counts twice."""
    return _rate(errors, comparisons, times_counted=2)


def genuine_rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64]) -> Rate:
    """Compute a rate over comparisons or photos of one person each, from each person's (p,) counts."""
    return _rate(errors, comparisons, times_counted=1)


def wilson(fraction: float, number: float) -> tuple[float, float]:
    """Compute Wilson's 95 % interval of a fraction of ``number`` independent trials. It is (0, 1) for no trials."""
    if number <= 0:
        return 0.0, 1.0
    centre = (fraction + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    half = _Z / (1 + _Z**2 / number) * np.sqrt(fraction * (1 - fraction) / number + _Z**2 / (4 * number**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def search_rate(
    found: int, searches: int, lost: NDArray[np.int64], searches_of: NDArray[np.int64], *, unshared: float
) -> Rate:
    """Compute the rate of ``found`` among ``searches`` in one gallery.

    Without a person (p,), ``lost`` fewer searches find something, and there are ``searches_of`` fewer searches.
    ``unshared`` is the number of searches that share no person.
    """
    return _jackknifed(found, searches, lost, searches_of, unshared)


def _rate(errors: NDArray[np.int64], comparisons: NDArray[np.int64], *, times_counted: int) -> Rate:
    wrong, total = int(errors.sum()) // times_counted, int(comparisons.sum()) // times_counted
    return _jackknifed(wrong, total, errors, comparisons, int((comparisons > 0).sum()) / times_counted)


def _jackknifed(
    wrong: int, total: int, errors: NDArray[np.int64], comparisons: NDArray[np.int64], unshared: float
) -> Rate:
    """Compute a rate. Without a person (p,), there are ``errors`` and ``comparisons`` fewer."""
    if total == 0:
        return Rate(0.0, 0.0, 1.0, 0, 0)
    fraction = wrong / total
    low, high = wilson(fraction, _effective_number(errors, comparisons, wrong, total, unshared))
    return Rate(fraction, min(low, fraction), max(high, fraction), wrong, total)


def _effective_number(
    errors: NDArray[np.int64], comparisons: NDArray[np.int64], wrong: int, total: int, unshared: float
) -> float:
    taking_part = (comparisons > 0) | (errors > 0)
    people = int(taking_part.sum())
    rest = total - comparisons[taking_part]
    if wrong in {0, total} or people < 2 or not rest.all():
        return unshared
    fraction = wrong / total
    without = (wrong - errors[taking_part]) / rest
    variance = (people - 1) / people * float(((without - without.mean()) ** 2).sum())
    if variance <= 0:
        return float(total)
    return float(min(fraction * (1 - fraction) / variance, total))
