"""Error rates of presentation attack detection, in the terms of ISO/IEC 30107-3."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from likeness.evaluation.recognition.rates import wilson
from likeness.liveness.base import StatusCode, Verdict

QUANTILES = (0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class PresentationOutcome:
    """The outcome of one presentation."""

    accepted: bool
    """Whether it was classified as bona fide."""
    responded: bool
    """Whether it was classified at all."""
    failed: tuple[str, ...] = ()
    """The signals that did not pass."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """The score of each signal."""

    @classmethod
    def of(cls, verdict: Verdict) -> "PresentationOutcome":
        return cls(
            verdict.live,
            verdict.status_code is not StatusCode.FACE_TIMEOUT,
            tuple(name.value for name in verdict.failed),
            {signal.name.value: signal.score for signal in verdict.signals},
        )


@dataclass(frozen=True, slots=True)
class PresentationRates:
    """The rates of one kind of presentation: a presentation attack instrument species (PAIS), or bona fide.

    For attacks, ``error`` is APCER, the fraction classified as bona fide. For bona fide, it is BPCER, the fraction
    classified as attacks. ``non_response`` is APNRR or BPNRR, the fraction without a classification (a time-out).
    ``error`` is a fraction of the other presentations.
    """

    kind: str
    bona_fide: bool
    presentations: int
    errors: int
    non_responses: int
    failed: tuple[tuple[str, int], ...]
    """The signals that did not pass, with their number of presentations."""
    scores: Mapping[str, tuple[float, ...]]
    """For each signal, the :data:`QUANTILES` of its scores."""

    @property
    def answered(self) -> int:
        return self.presentations - self.non_responses

    @property
    def error(self) -> float:
        return self.errors / self.answered if self.answered else 0.0

    @property
    def non_response(self) -> float:
        return self.non_responses / self.presentations if self.presentations else 0.0

    @property
    def non_response_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of ``non_response``."""
        return wilson(self.non_response, self.presentations)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of ``error``."""
        return wilson(self.error, self.answered)

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {
            "kind": self.kind,
            "measure": "BPCER" if self.bona_fide else "APCER",
            "presentations": self.presentations,
            "errors": self.errors,
            "rate": self.error,
            "interval95": [low, high],
            "nonResponses": self.non_responses,
            "nonResponseRate": self.non_response,
            "nonResponseInterval95": list(self.non_response_interval),
            "failedSignals": dict(self.failed),
            "scoreQuantiles": {"at": QUANTILES, **{name: list(values) for name, values in self.scores.items()}},
        }


def tally(kind: str, presentations: Iterable[PresentationOutcome], *, bona_fide: bool) -> PresentationRates:
    """Count the outcomes of one kind of presentation."""
    taken = list(presentations)
    failed = Counter(signal for one in taken for signal in one.failed)
    return PresentationRates(
        kind,
        bona_fide,
        len(taken),
        sum(one.responded and one.accepted != bona_fide for one in taken),
        sum(not one.responded for one in taken),
        tuple(failed.most_common()),
        {
            name: tuple(
                round(float(value), 4)
                for value in np.quantile([one.scores[name] for one in taken if name in one.scores], QUANTILES)
            )
            for name in sorted({name for one in taken for name in one.scores})
        },
    )
