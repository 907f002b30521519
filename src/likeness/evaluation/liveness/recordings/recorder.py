"""A liveness check that keeps what it gets and answers, and hands over the recording at its verdict."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from likeness import __version__
from likeness.engine.base import Engine
from likeness.evaluation.liveness.recordings.recording import Consent, Event, Label, Recording, exact_verdict
from likeness.kit.ids import new_id
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import ChallengeScript
from likeness.liveness.base import DeclaredCamera, Frame, Instruction, KeyFrame, Verdict
from likeness.liveness.thresholds import THRESHOLDS, Thresholds

MOST_BYTES = 512 * 1024 * 1024
"""The most bytes of frames that one recording keeps. Beyond them, the attempt goes on without a recording."""


def frame_facts(frame: Frame) -> dict[str, Any]:
    """Return the browser's statements about a frame."""
    names = ("client_at_seconds", "flash_index", "camera_at_seconds", "camera_frame", "signed")
    return {name: getattr(frame, name) for name in names}


@dataclass(slots=True)
class RecordedCheck:
    """A :class:`likeness.liveness.base.LivenessCheck` around the one that judges."""

    engine: Engine
    script: ChallengeScript
    camera: DeclaredCamera
    label: Label
    consent: Consent | None
    keep: Callable[[Recording], object]
    """Takes the recording when the attempt has its verdict. It may block."""
    thresholds: Thresholds = THRESHOLDS
    _check: Check = field(init=False)
    _events: list[Event] | None = field(default_factory=list)
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._check = Check(self.engine, self.script, self.camera, thresholds=self.thresholds)

    @property
    def verdict(self) -> Verdict | None:
        return self._check.verdict

    @property
    def key_frames(self) -> tuple[KeyFrame, ...]:
        return self._check.key_frames

    @property
    def best(self) -> KeyFrame | None:
        return self._check.best

    def observe(self, frame: Frame) -> Instruction:
        answer = self._check.observe(frame)
        self._bytes += len(frame.data)
        if self._bytes > MOST_BYTES:
            self._events = None
        self._note(Event(frame.received_at_seconds, answer.as_json(), frame.data, frame_facts(frame)))
        return answer

    def tick(self, now_seconds: float) -> Instruction:
        answer = self._check.tick(now_seconds)
        self._note(Event(now_seconds, answer.as_json()))
        return answer

    def _note(self, event: Event) -> None:
        if self._events is None:
            return
        self._events.append(event)
        if (verdict := self._check.verdict) is not None:
            events, self._events = tuple(self._events), None
            self.keep(
                Recording(
                    new_id(),
                    datetime.now(UTC).isoformat(timespec="seconds"),
                    __version__,
                    self.engine.pack.identity,
                    self.label,
                    self.consent,
                    self.script,
                    self.camera,
                    events,
                    exact_verdict(verdict),
                )
            )
