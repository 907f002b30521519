"""Calibration: the thresholds of the levels from a data set, and a test of their promise on other people.

A level promises a false match rate on new people. A threshold at exactly the target rate exceeds it on new people about
half of the time. With few pairs of people, it can exceed the target by far. So a threshold meets two conditions. The
measured rate is at most the target. The upper end of its confidence interval is at most twice the target. The interval
is from the jackknife over people (see ``likeness.evaluation.recognition.rates``).

People of one group look more alike than people in general (ISO/IEC 19795-10). Photos with one defect look more alike,
too. So the levels can also hold within such subsets. Each level then has the highest of the thresholds that all photos
and each large enough subset need.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likeness.engine.levels import LEVELS, TARGET_FMR
from likeness.errors import SetupError
from likeness.evaluation.data_set import ALL_PHOTOS, DataSet, groups_of
from likeness.evaluation.recognition.comparison import People, TemplateRows, compare_all, count_errors, count_pairs
from likeness.evaluation.recognition.conditions import Conditions
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.performance import LevelRates, check_comparisons, level_rates
from likeness.evaluation.recognition.treatments import AS_IT_IS

FEWEST_PEOPLE = tuple(math.ceil((1 + math.sqrt(1 + 8 / target)) / 2) for target in TARGET_FMR)
"""The number of people that each level needs: their pairs are then at least one divided by the level's target rate.

More photos of the same people do not replace more people, because the same people look alike on all their photos.
"""

FEWEST_FALSE_MATCHES = 5
"""A condition has a threshold for a level if its pairs allow at least so many false matches at the target rate.

The highest threshold of about seventy conditions decides. With fewer pairs, one pair of similar people would decide.
"""

HIGHEST_IN_DOUBT = 2.0
"""The greatest ratio of the upper end of a rate's 95 % interval to its target."""
FRACTIONS_OF_TARGET = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The rates to try for a threshold, as fractions of the target. The last is taken if no other is certain enough."""


GroupLabels = Mapping[str, Sequence[str | None]]
"""For each label, the group of every photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Templates with comparisons among each other that must also keep the promises.

    They are of one group, or of photos with the same treatment.
    """

    name: str
    rows: TemplateRows
    people: People
    levels: int
    """The number of levels, from level 1, that the subset is large enough for: 0..5."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The thresholds that a subset needs."""

    name: str
    people: int
    thresholds: tuple[float, ...]
    """The thresholds of the levels that the subset is large enough for, from level 1."""


@dataclass(frozen=True, slots=True)
class CalibratedThresholds:
    """The thresholds of the levels, and the subsets that decided them."""

    levels: tuple[LevelRates, ...]
    """The rates among all photos."""
    demands: tuple[Demand, ...]
    """The demand of all photos, then that of each subset."""
    decided_by: tuple[str, ...]
    """For each level, the subset with the highest threshold. A level is never below the level before it: in that case
    it has the same threshold and subset."""
    highest_fmr: tuple[float, ...]
    """For each level, the highest rate among all photos and the subsets that are large enough for it."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The ratio of a level's rate on new people to its target.

    The people are split into random halves several times. One half gives a threshold. The ratio is the FMR of the other
    half at this threshold, divided by the target.
    """

    level: int
    median_ratio: float
    low_ratio: float
    high_ratio: float
    """The middle 90 % of the ratios are between low and high."""
    within_twice: float
    """The fraction of the splits with a ratio of at most 2."""


def check_people(count: int, *, levels: int = len(LEVELS), shown_by: str = "The photos show") -> None:
    """Raise SetupError if there are too few people to measure the rate of one of the first ``levels`` levels."""
    takes = tuple(zip(LEVELS, FEWEST_PEOPLE, strict=True))[:levels]
    unsupported = [f"level {level} needs {fewest:,}" for level, fewest in takes if count < fewest]
    if not unsupported:
        return
    enough_for_four = levels == 5 and count >= FEWEST_PEOPLE[3]
    offer = " `--levels 4` leaves level 5 out; no comparison then reaches level 5." if enough_for_four else ""
    raise SetupError(
        f"{shown_by} {count:,} people, which is too few: {', '.join(unsupported)}. "
        f"More photos of the same people do not help.{offer}"
    )


def check_groups(labels: GroupLabels, data_set: DataSet, *, levels: int = len(LEVELS)) -> None:
    """Raise SetupError if a photo has no group, or if all groups of a label are too small.

    At least one group must have enough people for the first ``levels`` levels.
    """
    for label, values in labels.items():
        without = [photo.as_posix() for photo, value in zip(data_set.photos, values, strict=True) if value is None]
        if without:
            raise SetupError(
                f"The labels have no {label!r} for {len(without):,} photos, such as {without[0]}. "
                "Name a group for every person, or remove the person from the folder."
            )
    _check_largest(labels, dict(enumerate(data_set.person_of)), levels)


def same_group(extraction: Extraction, labels: GroupLabels, *, levels: int = len(LEVELS)) -> tuple[Subset, ...]:
    """Return a subset for each group.

    Raises SetupError if, after extraction, no group of a label has enough people for the first ``levels`` levels.
    """
    _check_largest(labels, {index: extraction.data_set.person_of[index] for index in extraction.samples}, levels)
    found = ((str(group), *extraction.templates_of(group.photos)) for group in groups_of(labels))
    return tuple(Subset(name, rows, people, _levels_of(len(np.unique(people)))) for name, rows, people in found)


def under_conditions(conditions: Conditions) -> tuple[Subset, ...]:
    """Return a subset for each treatment: the treated photos that are not refused.

    Its number of levels follows from its number of impostor pairs.
    """
    found = ((name, *conditions.templates_under(name)) for name in conditions.outcomes if name != AS_IT_IS)
    return tuple(
        Subset(
            name, rows, people, sum(count_pairs(people)[1] * target >= FEWEST_FALSE_MATCHES for target in TARGET_FMR)
        )
        for name, rows, people in found
    )


def derive_thresholds(
    rows: TemplateRows, people: People, *, levels: int = len(LEVELS), subsets: Sequence[Subset] = ()
) -> CalibratedThresholds:
    """Choose the lowest thresholds of the first ``levels`` levels (1..5) that keep the target rates with confidence.

    The rates hold over all impostor comparisons and within each subset. Raises SetupError if there are too few people
    for a level, or if no threshold keeps a rate.
    """
    check_comparisons(people)
    check_people(len(np.unique(people)), levels=levels)
    everything = (Subset(ALL_PHOTOS, rows, people, levels), *subsets)
    demands = tuple(_demand(subset, levels) for subset in everything)
    thresholds: list[float] = []
    decided_by: list[str] = []
    for level in range(levels):
        highest = max((one for one in demands if len(one.thresholds) > level), key=lambda one: one.thresholds[level])
        if (
            level and highest.thresholds[level] < thresholds[-1]
        ):  # the subset that decided the level before is too small for this level
            thresholds.append(thresholds[-1])
            decided_by.append(decided_by[-1])
        else:
            thresholds.append(highest.thresholds[level])
            decided_by.append(highest.name)
    rates = [rates_within(subset, thresholds) for subset in everything]
    return CalibratedThresholds(
        rates[0],
        demands,
        tuple(decided_by),
        tuple(
            max(
                own[level].fmr.value
                for own, demand in zip(rates, demands, strict=True)
                if len(demand.thresholds) > level
            )
            for level in range(levels)
        ),
    )


def rates_within(subset: Subset, thresholds: Sequence[float]) -> tuple[LevelRates, ...]:
    """Compute the rates of a subset at the thresholds of the levels, from level 1."""
    return level_rates(count_errors(subset.rows, subset.people, thresholds), thresholds)


def check_promise(rows: TemplateRows, people: People, *, splits: int = 20, seed: int = 0) -> tuple[Promise, ...]:
    """Calibrate on a random half of the people and measure on the other half, then the reverse; ``splits`` times."""
    generator = np.random.default_rng(seed)
    everybody = np.unique(people)
    ratios = []
    for _ in range(splits):
        chosen = np.isin(people, generator.permutation(everybody)[: len(everybody) // 2])
        for half in (chosen, ~chosen):
            thresholds = _choose(rows[half], people[half])
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


def _demand(subset: Subset, levels: int) -> Demand:
    supported = min(subset.levels, levels)
    chosen = _choose(subset.rows, subset.people)[:supported] if supported else ()
    # A cosine of 1 is the highest possible threshold, and identical photos reach it.
    broken = [str(level) for level, threshold in zip(LEVELS, chosen, strict=False) if threshold >= 1]
    if broken:
        raise SetupError(
            f"No threshold keeps the false match rate of level {', '.join(broken)} ({subset.name}): too many photos "
            "of different people have equal templates. One person may have two names; the worst pairs of "
            "`likeness evaluate DIR --html PAGE` show the photos."
        )
    return Demand(subset.name, len(np.unique(subset.people)), chosen)


def _choose(rows: TemplateRows, people: People) -> tuple[float, ...]:
    impostor = compare_all(rows, people, keep=0).impostor
    tried = [impostor.threshold_for(fraction * rate) for fraction in FRACTIONS_OF_TARGET for rate in TARGET_FMR]
    rates = level_rates(count_errors(rows, people, tried), tried)
    by_level = (rates[column :: len(LEVELS)] for column in range(len(LEVELS)))
    return tuple(
        next((tried for tried in of_level if tried.fmr.high <= HIGHEST_IN_DOUBT * target), of_level[-1]).threshold
        for of_level, target in zip(by_level, TARGET_FMR, strict=True)
    )


def _levels_of(people: int) -> int:
    return sum(people >= fewest for fewest in FEWEST_PEOPLE)


def _check_largest(labels: GroupLabels, person_of: Mapping[int, int], levels: int) -> None:
    """Check that the largest group of each label has enough people. ``person_of`` contains the photos that count."""
    for label, values in labels.items():
        sizes = {
            str(group): len({person_of[index] for index in group.photos if index in person_of})
            for group in groups_of({label: values})
        }
        largest = max(sizes, key=lambda name: sizes[name])
        check_people(sizes[largest], levels=levels, shown_by=f"The largest group ({largest}) has")
