"""The thresholds of the levels from a data set, and whether they keep their promise on people they were not chosen on.

A level promises a false match rate on people nobody has seen yet. A threshold read off at the target rate itself breaks
the promise as often as it keeps it, and by far where few pairs of people decide. So it is chosen with care: at most the
target as measured, and at most twice the target with confidence, which the jackknife over people tells (see
``likeness.evaluation.recognition.rates``).

People of one group look more alike than people at large (ISO/IEC 19795-10), and so do photos that are bad in one way.
So the levels can be made to hold within such subsets, too: each level then has the highest of the thresholds that all
photos, and each subset that is large enough, ask for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likeness.engine.levels import LEVELS, TARGET_FMR
from likeness.errors import SetupError
from likeness.evaluation.data_set import DataSet, groups_of
from likeness.evaluation.recognition.comparison import People, TemplateRows, compare_all, count_errors, count_pairs
from likeness.evaluation.recognition.conditions import Conditions
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.performance import LevelRates, check_comparisons, level_rates
from likeness.evaluation.recognition.treatments import AS_IT_IS

FEWEST_PEOPLE = tuple(math.ceil((1 + math.sqrt(1 + 8 / target)) / 2) for target in TARGET_FMR)
"""The people that each level takes: with fewer there are not as many pairs of them as the level lets pass none or one
of.

More photos of the same people are no substitute: who looks like whom is the same on all of them.
"""

FEWEST_FALSE_MATCHES = 5
"""A condition decides a level when so many false matches keep the promise there.

The highest threshold of some seventy conditions decides. With fewer pairs that would be chance: one pair of
look-alikes.
"""

HIGHEST_IN_DOUBT = 2.0
"""What a level's rate may be over its target at the upper end of its 95 % interval."""
FRACTIONS_OF_TARGET = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The rates over the target that a threshold is tried at; the last is taken where none is certain enough."""


ALL_PHOTOS = "all photos"
GroupLabels = Mapping[str, Sequence[str | None]]
"""For each label the group of every photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Templates whose comparisons with each other are to keep the promises, too.

    Of a group, or of photos treated alike.
    """

    name: str
    rows: TemplateRows
    people: People
    levels: int
    """The first levels, 0..5, whose rate they are enough to show."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The thresholds that a subset asks for."""

    name: str
    people: int
    thresholds: tuple[float, ...]
    """Of the first levels, those that it is large enough for."""


@dataclass(frozen=True, slots=True)
class CalibratedThresholds:
    """The thresholds of the levels, and where each comes from."""

    levels: tuple[LevelRates, ...]
    """The rates among all photos."""
    demands: tuple[Demand, ...]
    """Those of all photos, then of each subset."""
    decided_by: tuple[str, ...]
    """For each level the name of the highest demand. A level that would lie below the one before it has that one's."""
    highest_fmr: tuple[float, ...]
    """For each level the highest rate among all photos and the subsets that are large enough for it."""


@dataclass(frozen=True, slots=True)
class Promise:
    """How a level's rate on unseen people compares with its target.

    The people are split in two halves at random, again and again.
    A ratio is the FMR on one half at the threshold that the other half gave, over the target.
    """

    level: int
    median_ratio: float
    low_ratio: float
    high_ratio: float
    """The middle 90 % of the ratios lie between low and high."""
    within_twice: float
    """The fraction of the splits whose ratio was at most 2."""


def check_people(count: int, *, levels: int = len(LEVELS), shown_by: str = "The photos show") -> None:
    """Raise SetupError where people are too few to show the rate of one of the first ``levels`` levels."""
    takes = tuple(zip(LEVELS, FEWEST_PEOPLE, strict=True))[:levels]
    unsupported = [f"level {level} takes {fewest:,}" for level, fewest in takes if count < fewest]
    if not unsupported:
        return
    enough_for_four = levels == 5 and count >= FEWEST_PEOPLE[3]
    offer = " `--levels 4` leaves level 5 out: no comparison is then given it." if enough_for_four else ""
    raise SetupError(
        f"{shown_by} {count:,} people, and that is too few: {', '.join(unsupported)}. "
        f"More photos of the same people do not help.{offer}"
    )


def check_groups(labels: GroupLabels, data_set: DataSet, *, levels: int = len(LEVELS)) -> None:
    """Raise SetupError where a photo has no group, or where the groups of a label are too small.

    One group must have enough people for the first ``levels`` levels.
    """
    for label, values in labels.items():
        without = [photo.as_posix() for photo, value in zip(data_set.photos, values, strict=True) if value is None]
        if without:
            raise SetupError(
                f"The labels say no {label!r} of {len(without):,} photos, such as {without[0]}. "
                "Name a group for every person, or take the person out of the folder."
            )
    _check_largest(labels, dict(enumerate(data_set.person_of)), levels)


def same_group(extraction: Extraction, labels: GroupLabels, *, levels: int = len(LEVELS)) -> tuple[Subset, ...]:
    """Give a subset for each group.

    Raises SetupError where no group of a label kept enough people for the first ``levels`` levels.
    """
    _check_largest(labels, {index: extraction.data_set.person_of[index] for index in extraction.samples}, levels)
    found = ((str(group), *extraction.templates_of(group.photos)) for group in groups_of(labels))
    return tuple(Subset(name, rows, people, _levels_of(len(np.unique(people)))) for name, rows, people in found)


def under_conditions(conditions: Conditions) -> tuple[Subset, ...]:
    """Give a subset for each treatment: the treated photos that are not refused.

    It has the levels that its impostor pairs are enough for.
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
    """Give the lowest thresholds that keep to the target rates with confidence.

    They hold on all impostor comparisons and within each subset.
    Of the first ``levels`` levels, 1..5. Raises SetupError where there are too few people to show a level's rate, or no
    threshold keeps to a rate.
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
        ):  # a subset decided the level before, and is too small for this
            thresholds.append(thresholds[-1])
            decided_by.append(decided_by[-1])
        else:
            thresholds.append(highest.thresholds[level])
            decided_by.append(highest.name)
    rates = [level_rates(count_errors(subset.rows, subset.people, thresholds), thresholds) for subset in everything]
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


def check_promise(rows: TemplateRows, people: People, *, splits: int = 20, seed: int = 0) -> tuple[Promise, ...]:
    """Calibrate on a random half of the people and measure on the other, both ways round, ``splits`` times."""
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
    # A cosine of 1 is the highest threshold there is, and identical photos reach it.
    broken = [str(level) for level, threshold in zip(LEVELS, chosen, strict=False) if threshold >= 1]
    if broken:
        raise SetupError(
            f"No threshold keeps the false match rate of level {', '.join(broken)} ({subset.name}): too many photos "
            "of different people are the same to the network. Somebody may be filed under two names; the worst "
            "pairs of `likeness evaluate DIR --html PAGE` show who."
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
    """Check, label by label, that its largest group has enough people; ``person_of`` has the photos that take part."""
    for label, values in labels.items():
        sizes = {
            str(group): len({person_of[index] for index in group.photos if index in person_of})
            for group in groups_of({label: values})
        }
        largest = max(sizes, key=lambda name: sizes[name])
        check_people(sizes[largest], levels=levels, shown_by=f"The largest group ({largest}) has")
