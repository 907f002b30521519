"""The judgement of a recorded attempt by the code that judges live ones."""

from dataclasses import dataclass

from likeness.engine.base import Engine
from likeness.evaluation.liveness.rates import PresentationOutcome
from likeness.evaluation.liveness.recordings.recording import Label, Recording, exact_verdict
from likeness.liveness.attempt.check import Check
from likeness.liveness.base import Frame, Verdict
from likeness.liveness.thresholds import THRESHOLDS, Thresholds


@dataclass(frozen=True, slots=True)
class ReplayedAttempt:
    """The outcome of a recording, judged again."""

    id: str
    label: Label
    mode: str
    outcome: PresentationOutcome
    same: bool
    """Whether every answer and the verdict have the same bits as when the attempt was recorded."""
    comparable: bool
    """Whether pack and thresholds are those of the recording. Otherwise a difference is no fault."""


def replay(engine: Engine, recording: Recording, thresholds: Thresholds = THRESHOLDS) -> ReplayedAttempt:
    """Judge a recording again, at its recorded times.

    With other thresholds an attempt can ask for more frames than it has. Then it ends as one that times out.
    """
    check = Check(engine, recording.script, recording.camera, thresholds=thresholds)
    answers_agree = True
    for event in recording.events:
        if event.data is None:
            answer = check.tick(event.at_seconds)
        else:
            facts = event.facts or {}
            answer = check.observe(Frame(engine.decode(event.data), event.at_seconds, event.data, **facts))
        answers_agree &= answer.as_json() == event.answer
    verdict = check.verdict or _time_out(check, recording.events[-1].at_seconds, thresholds)
    return ReplayedAttempt(
        recording.id,
        recording.label,
        verdict.mode,
        PresentationOutcome.of(verdict),
        answers_agree and exact_verdict(verdict) == recording.verdict,
        (engine.pack.identity, thresholds.name) == (recording.pack, recording.verdict["thresholds"]),
    )


def _time_out(check: Check, last_seconds: float, thresholds: Thresholds) -> Verdict:
    verdict = check.tick(last_seconds + thresholds.timing.attempt_seconds + 1).verdict
    assert verdict is not None, "no attempt lasts longer than its time"
    return verdict
