"""The thresholds of the levels from a data set, and whether they keep their promise on people they were not chosen on."""

from dataclasses import dataclass

import numpy as np

from likeness.engine.levels import LEVELS, TARGET_FMR
from likeness.errors import SetupError
from likeness.evaluation.comparison import People, Rows, compare_all, count_errors
from likeness.evaluation.performance import LevelRates, check_comparisons, level_rates, own_thresholds

FEWEST_IMPOSTOR_COMPARISONS = int(1 / min(TARGET_FMR))
"""Fewer cannot show a rate of one in a million: about 1,415 photos of different people."""


@dataclass(frozen=True, slots=True)
class Promise:
    """How a level's rate on unseen people compares with its target, over repeated random splits of the people in two halves.

    A ratio is the FMR on one half at the threshold that the other half gave, over the target.
    """

    level: int
    median_ratio: float
    low_ratio: float
    high_ratio: float
    """The middle 90 % of the ratios lie between low and high."""
    within_twice: float
    """The share of the splits whose ratio was at most 2."""


def calibrate(rows: Rows, people: People) -> tuple[LevelRates, ...]:
    """Give the thresholds that keep to the target rates on all impostor comparisons, with the rates at them.

    Raises SetupError where there are too few comparisons to show the lowest rate, or no threshold keeps to a rate.
    """
    comparisons = compare_all(rows, people, keep=0)
    check_comparisons(comparisons)
    if comparisons.impostor.total < FEWEST_IMPOSTOR_COMPARISONS:
        raise SetupError(
            f"The photos give {comparisons.impostor.total:,} comparisons of different people; a false match rate of "
            f"{min(TARGET_FMR):g} takes at least {FEWEST_IMPOSTOR_COMPARISONS:,} (about 1,415 photos, each of another person)."
        )
    thresholds = own_thresholds(comparisons)
    levels = level_rates(count_errors(rows, people, thresholds), thresholds)
    # A cosine of 1 is the highest threshold there is, and identical photos reach it.
    broken = [str(level.level) for level in levels if level.threshold >= 1]
    if broken:
        raise SetupError(
            f"No threshold keeps the false match rate of level {', '.join(broken)}: too many photos of different people are the "
            "same to the network. Somebody may be filed under two names; the worst pairs of `likeness evaluate DIR --html PAGE` show who."
        )
    return levels


def check_promise(rows: Rows, people: People, *, splits: int = 20, seed: int = 0) -> tuple[Promise, ...]:
    """Calibrate on a random half of the people and measure on the other, both ways round, ``splits`` times."""
    generator = np.random.default_rng(seed)
    everybody = np.unique(people)
    ratios = []
    for _ in range(splits):
        chosen = np.isin(people, generator.permutation(everybody)[: len(everybody) // 2])
        for half in (chosen, ~chosen):
            thresholds = own_thresholds(compare_all(rows[half], people[half], keep=0))
            unseen = compare_all(rows[~half], people[~half], keep=0).impostor
            ratios.append(
                [
                    unseen.at_or_above(threshold) / max(unseen.total, 1) / target
                    for threshold, target in zip(thresholds, TARGET_FMR, strict=True)
                ]
            )
    by_level = np.array(ratios).T
    return tuple(
        Promise(
            level,
            float(np.median(own)),
            float(np.quantile(own, 0.05)),
            float(np.quantile(own, 0.95)),
            float((own <= 2).mean()),
        )
        for level, own in zip(LEVELS, by_level, strict=True)
    )
