"""Operating points: sets of thresholds, and the error rates that recordings have at each.

A verdict is the conjunction of several signals. The thresholds of the graded ones may move
(:data:`likeness.liveness.base.GRADED`). The points are ordered by one number, the strictness. At strictness q, each
movable threshold is the q-quantile of the bona fide presentations' scores of its signal. So every signal refuses about
the same share of them, and both error rates change in one direction only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import SetupError
from likeness.evaluation.liveness.recordings.replay import ReplayedAttempt
from likeness.evaluation.recognition.rates import wilson
from likeness.liveness.base import GRADED, SignalName

FEWEST_BONA_FIDE = 10


@dataclass(frozen=True, slots=True)
class CountedErrors:
    """Wrong decisions among answered presentations of one kind."""

    errors: int
    answered: int

    @property
    def rate(self) -> float:
        return self.errors / self.answered if self.answered else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "interval95": list(wilson(self.rate, self.answered)),
            "errors": self.errors,
            "presentations": self.answered,
        }


@dataclass(frozen=True, slots=True)
class LivenessPoint:
    """One operating point with its error rates."""

    thresholds: Mapping[str, float]
    """By their names in ``Signals``."""
    bpcer: CountedErrors
    apcer: Mapping[str, CountedErrors]
    """By the kind of attack."""

    @property
    def worst(self) -> float:
        """APCER of the most successful kind, as ISO/IEC 30107-3 states it."""
        return max((one.rate for one in self.apcer.values()), default=0.0)

    def as_json(self) -> dict[str, Any]:
        return {
            "thresholds": dict(self.thresholds),
            "bpcer": self.bpcer.as_json(),
            "apcer": {kind: errors.as_json() for kind, errors in self.apcer.items()},
            "apcerOfWorstKind": self.worst,
        }


def operating_points(attempts: Sequence[ReplayedAttempt]) -> list[LivenessPoint]:
    """Return the operating points, from the most permissive. Presentations without a response do not count.

    Raises SetupError if too few bona fide presentations have scores.
    """
    answered = [one for one in attempts if one.outcome.responded]
    live = [one for one in answered if one.label.bona_fide]
    if len(live) < FEWEST_BONA_FIDE:
        raise SetupError(f"An operating point needs {FEWEST_BONA_FIDE} bona fide recordings with a response.")
    names = [name for name in GRADED if all(name.value in one.outcome.scores for one in answered)]
    if not names:
        raise SetupError("These recordings have no score whose threshold may move: none is of the active mode.")
    scores = {kind: _scores(group, names) for kind, group in _by_kind(answered).items()}
    fixed = {kind: _fixed(group, names) for kind, group in _by_kind(answered).items()}
    bona_fide = live[0].label.kind
    ordered = np.sort(scores[bona_fide], axis=0)
    points = []
    for place in range(len(live)):
        limits = ordered[place]
        passed = {kind: (values >= limits).all(axis=1) & fixed[kind] for kind, values in scores.items()}
        points.append(
            LivenessPoint(
                {GRADED[name]: float(limit) for name, limit in zip(names, limits, strict=True)},
                CountedErrors(int((~passed[bona_fide]).sum()), len(live)),
                {
                    kind: CountedErrors(int(those.sum()), len(those))
                    for kind, those in sorted(passed.items())
                    if kind != bona_fide
                },
            )
        )
    return points


def choose_point(
    points: Sequence[LivenessPoint], *, bpcer: float | None = None, apcer: float | None = None
) -> LivenessPoint:
    """Return the strictest point with at most this BPCER, or the most permissive one with at most this APCER.

    Raises SetupError if there is none.
    """
    if bpcer is not None:
        within = [point for point in points if point.bpcer.rate <= bpcer]
        if not within:
            raise SetupError(f"No thresholds reach a BPCER of {bpcer:.1%}: other signals refuse more people.")
        return within[-1]
    within = [point for point in points if point.worst <= (apcer or 0.0)]
    if not within:
        raise SetupError(f"No thresholds reach an APCER of {apcer or 0.0:.1%} of every kind with these signals.")
    return within[0]


def signal_curves(attempts: Sequence[ReplayedAttempt]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the DET curve of each signal alone: (APCER, BPCER) by kind of attack, at every threshold."""
    answered = [one for one in attempts if one.outcome.responded]
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in (*GRADED, SignalName.IDENTITY, SignalName.PASSIVE):
        held = [one for one in answered if name.value in one.outcome.scores]
        live = np.sort([one.outcome.scores[name.value] for one in held if one.label.bona_fide])
        kinds = _by_kind([one for one in held if not one.label.bona_fide])
        if not len(live) or not kinds:
            continue
        curves[name.value] = {
            kind: _curve(live, np.sort([one.outcome.scores[name.value] for one in group]))
            for kind, group in sorted(kinds.items())
        }
    return curves


def _curve(live: NDArray[np.float64], attack: NDArray[np.float64]) -> list[tuple[float, float]]:
    limits = np.unique(np.concatenate([live, attack, [np.inf]]))
    accepted = 1 - np.searchsorted(attack, limits, side="left") / len(attack)
    refused = np.searchsorted(live, limits, side="left") / len(live)
    return list(dict.fromkeys(zip(accepted.tolist(), refused.tolist(), strict=True)))


def _by_kind(attempts: Sequence[ReplayedAttempt]) -> dict[str, list[ReplayedAttempt]]:
    found: dict[str, list[ReplayedAttempt]] = {}
    for one in attempts:
        found.setdefault(one.label.kind, []).append(one)
    return found


def _scores(attempts: Sequence[ReplayedAttempt], names: Sequence[SignalName]) -> NDArray[np.float64]:
    return np.array([[one.outcome.scores[name.value] for name in names] for one in attempts])


def _fixed(attempts: Sequence[ReplayedAttempt], names: Sequence[SignalName]) -> NDArray[np.bool_]:
    moving = {name.value for name in names}
    return np.array([set(one.outcome.failed) <= moving for one in attempts])
