"""The performance of a pack on a data set: from templates to rates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likeness.engine.levels import LEVELS, TARGET_FMR, Calibration
from likeness.errors import SetupError
from likeness.evaluation.data_set import ALL_PHOTOS, Group, groups_of
from likeness.evaluation.recognition.comparison import (
    Comparisons,
    ErrorsByPerson,
    People,
    compare_all,
    count_errors,
    count_pairs,
)
from likeness.evaluation.recognition.discard import DiscardPoint, discard_curve
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.groups.scores import ScoreMean, mean_scores
from likeness.evaluation.recognition.identification import OperatingPoint, Searches, search_galleries
from likeness.evaluation.recognition.outcomes import FailureToAcquire
from likeness.evaluation.recognition.rates import Rate, genuine_rate, impostor_rate

TARGET_FPIR = (0.1, 0.03, 0.01, 0.003, 0.001)
_DISCARD_LEVEL = 2
"""The level (FMR 1e-3) of the threshold for error versus discard."""


@dataclass(frozen=True, slots=True)
class LevelRates:
    """The rates at one threshold."""

    level: int
    threshold: float
    fmr: Rate
    fnmr: Rate


@dataclass(frozen=True, slots=True)
class GroupRates:
    """The rates of one group. Both photos of every comparison belong to it."""

    label: str
    group: str
    photos: int
    people: int
    failure_to_acquire: Rate
    levels: tuple[LevelRates, ...]
    genuine_score: ScoreMean
    impostor_score: ScoreMean
    median_seconds: float | None
    """The time of one photo's analysis; None if all templates came from a cache."""

    def at(self, level: int) -> LevelRates:
        """Return the rates at a level."""
        return next(rates for rates in self.levels if rates.level == level)


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """The performance of a pack on a data set.

    ``measured`` has this data's own thresholds for the target rates. ``promised`` has the pack's thresholds.
    """

    extraction: Extraction
    comparisons: Comparisons
    failure_to_acquire: Rate
    failures: Mapping[str, int]
    """The number of failures by code and, for LOW_QUALITY, by its worst reason."""
    measured: tuple[LevelRates, ...]
    promised: tuple[LevelRates, ...]
    """Empty for a pack without a calibration."""
    gallery_size: int
    identification: tuple[OperatingPoint, ...]
    discard: tuple[DiscardPoint, ...]
    whole: GroupRates
    """All photos as one group, at the thresholds in force."""
    groups: tuple[GroupRates, ...]


def measure_performance(
    extraction: Extraction,
    calibration: Calibration | None,
    *,
    gallery_size: int | None = None,
    labels: Mapping[str, Sequence[str | None]] | None = None,
) -> Performance:
    """Make all comparisons and searches, and compute the rates.

    ``labels`` gives every photo's group for each label. Raises SetupError if there are too few templates to compare.
    """
    rows, people = extraction.rows, extraction.people
    check_comparisons(people)
    comparisons = compare_all(rows, people)
    own = own_thresholds(comparisons)
    promised = calibration.thresholds if calibration else ()
    errors = count_errors(rows, people, [*own, *promised])
    rates = level_rates(errors, [*own, *promised])
    in_force = promised or own
    everybody = Group("", ALL_PHOTOS, tuple(range(len(extraction.outcomes))))
    searches = search_galleries(rows, people, gallery_size=gallery_size)
    quality = np.array([sample.quality for sample in extraction.samples.values()], np.float64)
    return Performance(
        extraction=extraction,
        comparisons=comparisons,
        failure_to_acquire=failure_to_acquire(extraction, range(len(extraction.outcomes))),
        failures=_failures(extraction),
        measured=rates[: len(own)],
        promised=rates[len(own) :],
        gallery_size=searches.gallery_size,
        identification=_operating_points(searches, in_force),
        discard=discard_curve(rows, people, quality, own[_DISCARD_LEVEL - 1]),
        whole=_group_rates(extraction, everybody, rates[len(own) :] or rates),
        groups=tuple(_rates_within(extraction, group, in_force) for group in groups_of(labels or {})),
    )


def check_comparisons(people: People) -> None:
    """Raise SetupError if too few photos gave a template for comparisons of both kinds."""
    if not all(count_pairs(people)):
        raise SetupError("Too few photos give a template: there is no genuine comparison, or no impostor comparison.")


def own_thresholds(comparisons: Comparisons) -> tuple[float, ...]:
    """Return the lowest threshold of each level at which these impostor comparisons keep the target rate."""
    return tuple(comparisons.impostor.threshold_for(rate) for rate in TARGET_FMR)


def level_rates(errors: ErrorsByPerson, thresholds: Sequence[float]) -> tuple[LevelRates, ...]:
    """Compute the rates at each threshold, with their intervals. ``thresholds`` repeats the levels 1 to 5."""
    return tuple(
        LevelRates(
            LEVELS[column % len(LEVELS)],
            threshold,
            impostor_rate(errors.false_matches[:, column], errors.impostor),
            genuine_rate(errors.false_non_matches[:, column], errors.genuine),
        )
        for column, threshold in enumerate(thresholds)
    )


def failure_to_acquire(extraction: Extraction, photos: Sequence[int]) -> Rate:
    """Compute the fraction of some photos that gave no template."""
    owner = np.array([extraction.data_set.person_of[index] for index in photos], np.int64)
    failed = np.array([isinstance(extraction.outcomes[index], FailureToAcquire) for index in photos], np.bool_)
    count = len(extraction.data_set.people)
    return genuine_rate(np.bincount(owner[failed], minlength=count), np.bincount(owner, minlength=count))


def _failures(extraction: Extraction) -> dict[str, int]:
    named = (": ".join((failure.code, *failure.reasons[:1])) for failure in extraction.failures.values())
    return dict(Counter(named).most_common())


def _operating_points(searches: Searches, thresholds: Sequence[float]) -> tuple[OperatingPoint, ...]:
    if not searches.gallery_size:
        return ()
    chosen = [point for fpir in TARGET_FPIR if (point := searches.at_fpir(fpir))]
    return (*chosen, *(searches.at(threshold) for threshold in thresholds))


def _rates_within(extraction: Extraction, group: Group, thresholds: Sequence[float]) -> GroupRates:
    errors = count_errors(*extraction.templates_of(group.photos), thresholds)
    return _group_rates(extraction, group, level_rates(errors, thresholds))


def _group_rates(extraction: Extraction, group: Group, levels: tuple[LevelRates, ...]) -> GroupRates:
    genuine, impostor = mean_scores(*extraction.templates_of(group.photos))
    return GroupRates(
        label=group.label,
        group=group.name,
        photos=len(group.photos),
        people=len({extraction.data_set.person_of[index] for index in group.photos}),
        failure_to_acquire=failure_to_acquire(extraction, group.photos),
        levels=levels,
        genuine_score=genuine,
        impostor_score=impostor,
        median_seconds=extraction.median_seconds(group.photos),
    )
