"""The false-positive identification rate (FPIR) of one gallery, from its own templates.

Each entry is searched for among the entries of other people (leave-one-out). A person who is enrolled twice would look
like a false positive. So entries of one person are set apart: those that are known, or else the pairs with a score that
different people hardly reach.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.engine.levels import LEVELS, NEVER, Calibration
from likeness.evaluation.recognition.comparison import TemplateRows
from likeness.evaluation.recognition.identification import LeaveOneOut, leave_one_out
from likeness.evaluation.recognition.rates import Rate
from likeness.evaluation.report.numbers import rate_to_json
from likeness.gallery.decision import expected_fpir, rate_for
from likeness.gallery.fpir.curve import RateCurve

FEWEST_ENTRIES = 100
GROWTH = 10
"""The rates are also extrapolated to a gallery of so many times the entries."""
_FEWEST_FOUND = 10
"""The fewest searches that must find somebody else, for a rate that a threshold may rest on."""
_HIGHEST_FPIR = 0.5
_SAME_PERSON = 0.1
"""By the calibration, so many pairs of different people are expected above the score that sets a pair apart."""
_LARGEST_RATE = 1e-7
"""The score that sets a pair apart is past level 5 in a small gallery, too."""


@dataclass(frozen=True, slots=True)
class LevelFpir:
    """FPIR at a level's threshold: as measured, as expected by the calibration, and for a larger gallery."""

    level: int
    threshold: float
    fpir: Rate
    by_calibration: float
    grown: tuple[float, float, float]
    """The rate and its interval for :data:`GROWTH` times as many entries, by the binomial model."""


@dataclass(frozen=True, slots=True)
class GalleryFpir:
    """FPIR in one gallery of ``entries`` by so many ``searches``."""

    entries: int
    searches: int
    pairs_set_apart: int
    levels: tuple[LevelFpir, ...]
    points: tuple[tuple[float, Rate], ...]
    """(threshold, FPIR), by rising threshold, from an FPIR of 50 % to the lowest that enough searches show."""

    @property
    def comparison_rates(self) -> tuple[tuple[float, float], ...]:
        """(false match rate per comparison, threshold) of the points."""
        comparisons = self.entries - 1
        return tuple((rate_for(fpir.value, comparisons=comparisons), threshold) for threshold, fpir in self.points)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as plain values."""
        return {
            "entries": self.entries,
            "searches": self.searches,
            "pairsSetApart": self.pairs_set_apart,
            "levels": [
                {
                    "level": one.level,
                    "threshold": one.threshold,
                    "fpir": rate_to_json(one.fpir),
                    "expectedByCalibration": one.by_calibration,
                    "extrapolated": {
                        "entries": GROWTH * self.entries,
                        **dict(zip(("value", "low", "high"), one.grown, strict=True)),
                    },
                }
                for one in self.levels
            ],
            "points": [{"threshold": threshold, "fpir": rate_to_json(fpir)} for threshold, fpir in self.points],
        }


def measure_gallery(
    rows: TemplateRows,
    same_person: Iterable[tuple[int, int]],
    calibration: Calibration,
    *,
    searches: int | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> GalleryFpir:
    """Search for the entries (n, d) among those of other people.

    ``same_person`` has pairs of rows. ``searches`` is the number of random entries to search for, by default all.
    ``progress`` takes the number of searches done.
    """
    entries, pairs = len(rows), list(same_person)
    chosen = None
    if searches is not None and searches < entries:
        chosen = np.sort(np.random.default_rng(0).permutation(entries)[:searches])
    found = leave_one_out(rows, _people(entries, pairs), chosen, progress)
    levels = zip(LEVELS, calibration.thresholds, strict=True)
    return GalleryFpir(
        entries,
        len(found.searched),
        len(pairs),
        tuple(_at_level(found, entries, calibration, *one) for one in levels if one[1] < NEVER),
        tuple((threshold, found.fpir(threshold)) for threshold in _thresholds(found)),
    )


def same_person_score(calibration: Calibration, entries: int) -> float:
    """Return the score from which two of so many entries are taken for one person."""
    pairs = max(entries * (entries - 1) / 2, 1)
    return RateCurve.of(calibration).threshold_for(min(_SAME_PERSON / pairs, _LARGEST_RATE))


def _at_level(found: LeaveOneOut, entries: int, calibration: Calibration, level: int, threshold: float) -> LevelFpir:
    measured = found.fpir(threshold)
    low, value, high = (
        1.0 if fpir >= 1 else expected_fpir(rate_for(fpir, comparisons=entries - 1), GROWTH * entries)
        for fpir in (measured.low, measured.value, measured.high)
    )
    by_calibration = expected_fpir(calibration.false_match_rate(level), entries - 1)
    return LevelFpir(level, threshold, measured, by_calibration, (value, low, high))


def _thresholds(found: LeaveOneOut) -> list[float]:
    """Return the thresholds that half of the searches reach, a quarter and so on, while enough of them do."""
    descending = np.sort(found.best)[::-1]
    count, chosen = int(_HIGHEST_FPIR * len(descending)), []
    while count >= _FEWEST_FOUND:
        chosen.append(float(descending[count - 1]))
        count //= 2
    return sorted({threshold for threshold in chosen if np.isfinite(threshold)})


def _people(entries: int, same_person: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Number the people (n,) of the entries from 0. Entries that pairs connect are of one person."""
    earlier = list(range(entries))

    def first(place: int) -> int:
        while earlier[place] != place:
            earlier[place] = place = earlier[earlier[place]]
        return place

    for pair in same_person:
        one, other = sorted(map(first, pair))
        earlier[other] = one
    _, numbers = np.unique([first(place) for place in range(entries)], return_inverse=True)
    return np.asarray(numbers, np.int64)
