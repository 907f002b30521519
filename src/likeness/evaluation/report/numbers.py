"""The numbers of an evaluation as JSON, for programs and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness import __version__
from likeness.evaluation.recognition.comparison import ScoredPair
from likeness.evaluation.recognition.conditions import ConditionRates
from likeness.evaluation.recognition.groups.differential import Differential, Estimate, differentials
from likeness.evaluation.recognition.histogram import ScoreHistogram, edge
from likeness.evaluation.recognition.identification import OperatingPoint
from likeness.evaluation.recognition.pair_accuracy import PairAccuracy
from likeness.evaluation.recognition.performance import GroupRates, LevelRates, Performance
from likeness.evaluation.recognition.rates import Rate
from likeness.evaluation.recognition.several import SeveralRates

_CURVE_POINTS = 240
_BARS = 160
JUDGED_LEVEL = 3
"""The level that is held against NIST SP 800-63A-4: its false match rate is 1 in 10,000."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The conditions of an evaluation besides the photos."""

    pack: str
    use: str
    policy: str
    measured_at: str
    calibrated_on: str | None


def to_json(
    performance: Performance,
    circumstances: Circumstances,
    pairs: PairAccuracy | None = None,
    conditions: Sequence[ConditionRates] = (),
) -> dict[str, Any]:
    """Return the whole evaluation as plain values. Rates have their 95 % intervals and counts."""
    data_set = performance.extraction.data_set
    comparisons = performance.comparisons
    return {
        "product": f"likeness {__version__}",
        "pack": circumstances.pack,
        "use": circumstances.use,
        "policy": circumstances.policy,
        "measuredAt": circumstances.measured_at,
        "calibratedOn": circumstances.calibrated_on,
        "dataSet": {
            "name": data_set.name,
            "people": len(data_set.people),
            "photos": len(data_set.photos),
            "genuineComparisons": comparisons.genuine.total,
            "impostorComparisons": comparisons.impostor.total,
        },
        "failureToAcquire": rate_to_json(performance.failure_to_acquire),
        "failures": dict(performance.failures),
        "levels": [level_to_json(level) for level in performance.measured],
        "levelsInForce": [level_to_json(level) for level in performance.promised],
        "det": det_curve(comparisons.genuine, comparisons.impostor),
        "distributions": _distributions(comparisons.genuine, comparisons.impostor),
        "identification": {
            "gallerySize": performance.gallery_size,
            "points": [_point_to_json(point) for point in performance.identification],
        },
        "errorVersusDiscard": [
            {"discarded": point.discarded, "fnmr": point.fnmr, "comparisons": point.comparisons}
            for point in performance.discard
        ],
        "pairs": pairs and _pairs_to_json(pairs),
        "groups": [
            _group_to_json(group, difference)
            for group, difference in zip(performance.groups, differentials_of(performance), strict=True)
        ],
        "conditions": [condition_to_json(condition) for condition in conditions],
        "worst": {
            "falseNonMatches": [_pair_to_json(performance, pair) for pair in comparisons.lowest_genuine],
            "falseMatches": [_pair_to_json(performance, pair) for pair in comparisons.highest_impostor],
        },
    }


def _pairs_to_json(pairs: PairAccuracy) -> dict[str, Any]:
    return {
        "accuracy": pairs.mean,
        "standardError": pairs.standard_error,
        "genuine": pairs.genuine,
        "impostor": pairs.impostor,
    }


def differentials_of(performance: Performance) -> tuple[Differential, ...]:
    """Compare the groups at the level whose false match rate standards ask for, or at the highest one below it."""
    level = min(JUDGED_LEVEL, len(performance.whole.levels))
    return differentials(performance.groups, performance.whole, level=level)


def _group_to_json(group: GroupRates, difference: Differential) -> dict[str, Any]:
    return {
        "label": group.label,
        "group": group.group,
        "photos": group.photos,
        "people": group.people,
        "failureToAcquire": rate_to_json(group.failure_to_acquire),
        "levels": [level_to_json(level) for level in group.levels],
        "differential": {
            "level": difference.level,
            "failureToAcquireToAll": _estimate_to_json(difference.failure_to_acquire),
            "fmrToAll": _estimate_to_json(difference.fmr),
            "fmrToBest": _estimate_to_json(difference.fmr_to_best),
            "fnmrToAll": _estimate_to_json(difference.fnmr),
            "fnmrToBest": _estimate_to_json(difference.fnmr_to_best),
            "genuineScoreShift": _estimate_to_json(difference.genuine_shift),
            "impostorScoreShift": _estimate_to_json(difference.impostor_shift),
            "medianSeconds": difference.median_seconds,
            "similarity": difference.similarity,
        },
    }


def _estimate_to_json(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def rate_to_json(rate: Rate) -> dict[str, float | int]:
    """Return a rate (0..1) with its interval and counts, in the report's format."""
    return {
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "errors": rate.errors,
        "comparisons": rate.comparisons,
    }


def level_to_json(level: LevelRates) -> dict[str, Any]:
    """Return FMR and FNMR at one level, in the report's format."""
    return {
        "level": level.level,
        "threshold": level.threshold,
        "fmr": rate_to_json(level.fmr),
        "fnmr": rate_to_json(level.fnmr),
    }


def condition_to_json(condition: ConditionRates) -> dict[str, Any]:
    """Return the rates of photos under one condition, in the report's format."""
    return {
        "condition": condition.condition,
        "photos": condition.photos,
        "failureToAcquire": rate_to_json(condition.failure_to_acquire),
        "failures": dict(condition.failures),
        "refusals": {
            name: {"photos": found.photos, "alone": found.alone} for name, found in condition.refusals.items()
        },
        "alike": [{**level_to_json(level), "holds": condition.holds(level.level)} for level in condition.alike],
        "againstClean": [level_to_json(level) for level in condition.against_clean],
    }


def several_to_json(several: Sequence[SeveralRates]) -> list[dict[str, Any]]:
    """Return the rates of a photo against several of a person, in the report's format."""
    return [
        {
            "references": one.references,
            "people": one.people,
            "way": way,
            "levels": [level_to_json(level) for level in levels],
        }
        for one in several
        for way, levels in one.ways.items()
    ]


def det_curve(genuine: ScoreHistogram, impostor: ScoreHistogram) -> list[dict[str, float]]:
    """Return the detection error trade-off (DET): FNMR against FMR, from the strictest threshold on.

    The points are spread evenly over the decades of FMR.
    """
    reaching, accepted = impostor.reaching(), genuine.reaching()
    lowest = 1 / max(impostor.total, 1)
    counts = np.unique(np.geomspace(lowest, 1, _CURVE_POINTS) * impostor.total + 0.5, axis=0).astype(np.int64)
    points = []
    for count in np.unique(counts):
        position = int(np.argmax(reaching <= count))
        points.append(
            {
                "threshold": edge(position),
                "fmr": int(reaching[position]) / max(impostor.total, 1),
                "fnmr": 1 - int(accepted[position]) / max(genuine.total, 1),
            }
        )
    return points


def _distributions(genuine: ScoreHistogram, impostor: ScoreHistogram) -> dict[str, list[float]]:
    seen = np.flatnonzero(genuine.counts + impostor.counts)
    low, high = edge(int(seen[0])), min(edge(int(seen[-1]) + 1), 1.0)
    centres, genuine_density = genuine.density(_BARS, low, high)
    _, impostor_density = impostor.density(_BARS, low, high)
    return {
        "score": centres.tolist(),
        "genuine": genuine_density.tolist(),
        "impostor": impostor_density.tolist(),
    }


def _point_to_json(point: OperatingPoint) -> dict[str, Any]:
    return {
        "targetFpir": point.target_fpir,
        "threshold": point.threshold,
        "fpir": point.fpir,
        "fpirByLeaveOneOut": point.left_out_fpir and rate_to_json(point.left_out_fpir),
        "fnir": point.fnir,
    }


def _pair_to_json(performance: Performance, pair: ScoredPair) -> dict[str, Any]:
    extraction = performance.extraction
    photos = list(extraction.samples)
    return {
        "score": pair.score,
        "photos": [extraction.data_set.photos[photos[row]].as_posix() for row in (pair.first, pair.second)],
    }
