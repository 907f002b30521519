"""The thresholds of the levels from a data set, and whether they keep their promise on people they were not chosen on.

A level promises a false match rate on people nobody has seen yet. A threshold read off at the target rate itself breaks the promise
as often as it keeps it, and by far where few pairs of people decide. So it is chosen with care: at most the target as measured, and at
most twice the target with confidence, which the jackknife over people tells (see ``likeness.evaluation.rates``).
"""

import math
from dataclasses import dataclass

import numpy as np

from likeness.engine.levels import LEVELS, TARGET_FMR
from likeness.errors import SetupError
from likeness.evaluation.comparison import Comparisons, People, Rows, compare_all, count_errors
from likeness.evaluation.performance import LevelRates, check_comparisons, level_rates

FEWEST_PEOPLE = tuple(math.ceil((1 + math.sqrt(1 + 8 / target)) / 2) for target in TARGET_FMR)
"""The people that each level takes: with fewer there are not as many pairs of them as the level lets pass none or one of.

More photos of the same people are no substitute: who looks like whom is the same on all of them.
"""

HIGHEST_IN_DOUBT = 2.0
"""What a level's rate may be over its target at the upper end of its 95 % interval."""
SHARES_OF_TARGET = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The rates over the target that a threshold is tried at; the last is taken where none is certain enough."""


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


def check_people(count: int, *, levels: int = len(LEVELS)) -> None:
    """Raise SetupError where people are too few to show the rate of one of the first ``levels`` levels."""
    takes = tuple(zip(LEVELS, FEWEST_PEOPLE, strict=True))[:levels]
    unsupported = [f"level {level} takes {fewest:,}" for level, fewest in takes if count < fewest]
    if not unsupported:
        return
    enough_for_four = levels == 5 and count >= FEWEST_PEOPLE[3]
    offer = " `--levels 4` leaves level 5 out: no comparison is then given it." if enough_for_four else ""
    raise SetupError(
        f"The photos show {count:,} people, and that is too few: {', '.join(unsupported)}. "
        f"More photos of the same people do not help.{offer}"
    )


def calibrate(rows: Rows, people: People, *, levels: int = len(LEVELS)) -> tuple[LevelRates, ...]:
    """Give the lowest thresholds that keep to the target rates on all impostor comparisons with confidence, and the rates at them.

    Of the first ``levels`` levels, 1..5. Raises SetupError where there are too few people to show a level's rate, or no threshold keeps
    to a rate.
    """
    comparisons = compare_all(rows, people, keep=0)
    check_comparisons(comparisons)
    check_people(len(np.unique(people)), levels=levels)
    chosen = _choose(rows, people, comparisons)[:levels]
    # A cosine of 1 is the highest threshold there is, and identical photos reach it.
    broken = [str(level.level) for level in chosen if level.threshold >= 1]
    if broken:
        raise SetupError(
            f"No threshold keeps the false match rate of level {', '.join(broken)}: too many photos of different people are the "
            "same to the network. Somebody may be filed under two names; the worst pairs of `likeness evaluate DIR --html PAGE` show who."
        )
    return chosen


def check_promise(rows: Rows, people: People, *, splits: int = 20, seed: int = 0) -> tuple[Promise, ...]:
    """Calibrate on a random half of the people and measure on the other, both ways round, ``splits`` times."""
    generator = np.random.default_rng(seed)
    everybody = np.unique(people)
    ratios = []
    for _ in range(splits):
        chosen = np.isin(people, generator.permutation(everybody)[: len(everybody) // 2])
        for half in (chosen, ~chosen):
            chosen_on = compare_all(rows[half], people[half], keep=0)
            thresholds = [level.threshold for level in _choose(rows[half], people[half], chosen_on)]
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


def _choose(rows: Rows, people: People, comparisons: Comparisons) -> tuple[LevelRates, ...]:
    tried = [comparisons.impostor.threshold_for(share * rate) for share in SHARES_OF_TARGET for rate in TARGET_FMR]
    rates = level_rates(count_errors(rows, people, tried), tried)
    by_level = (rates[column :: len(LEVELS)] for column in range(len(LEVELS)))
    return tuple(
        next((tried for tried in of_level if tried.fmr.high <= HIGHEST_IN_DOUBT * target), of_level[-1])
        for of_level, target in zip(by_level, TARGET_FMR, strict=True)
    )
