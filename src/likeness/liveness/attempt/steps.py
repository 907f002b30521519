"""The steps of a challenge while the person does them. Each takes observations and returns what the page shows."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from likeness.liveness.attempt.evidence import CHARTS, Evidence
from likeness.liveness.attempt.script import Flash, FlashColour, Side, Tilt, Turn
from likeness.liveness.base import Colour, Hint, StatusCode
from likeness.liveness.frame.observation import FaceView, Observation, guide
from likeness.liveness.signals.light_response import sample
from likeness.liveness.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The result of one observation."""

    status_code: StatusCode
    hint: Hint | None = None
    colour: Colour | None = None
    flash_index: int | None = None
    progress: float = 0.0
    """The fraction of the step that is done, 0..1."""
    done: bool = False


class StepRun(Protocol):
    """A step while the person does it."""

    scale: float
    """The wanted eye distance as a fraction of the frame's shorter side. It determines the oval."""

    def advance(self, seen: Observation, evidence: Evidence) -> StepOutcome: ...


@dataclass(slots=True)
class HoldStill:
    """A counter of good frames in a row."""

    limits: Thresholds
    frames: int
    seconds: float = 0.0
    faces: list[FaceView] = field(default_factory=list)
    _since: float = 0.0

    def advance(self, seen: Observation, scale: float) -> StepOutcome | None:
        """Return guidance, or None after enough good frames."""
        tolerance = self.limits.guidance.tolerance if self.faces else 1.0
        fault = guide(seen, scale, self.limits.guidance, tolerance=tolerance)
        if fault is not None or seen.face is None:
            self.faces.clear()
            status, hint = fault or (StatusCode.FACE_NOT_DETECTED, None)
            return StepOutcome(status, hint)
        if not self.faces:
            self._since = seen.at_seconds
        self.faces.append(seen.face)
        if len(self.faces) >= self.frames and seen.at_seconds - self._since >= self.seconds:
            return None
        return StepOutcome(StatusCode.FACE_LIVENESS_HOLD_STILL, progress=0.9 * min(len(self.faces) / self.frames, 1.0))


@dataclass(slots=True)
class HoldRun:
    """The step in which the person looks straight ahead for a moment."""

    limits: Thresholds
    scale: float
    frames: int
    seconds: float
    _hold_still: HoldStill = field(init=False)

    def __post_init__(self) -> None:
        self._hold_still = HoldStill(self.limits, self.frames, self.seconds)

    def advance(self, seen: Observation, evidence: Evidence) -> StepOutcome:
        del evidence
        return self._hold_still.advance(seen, self.scale) or StepOutcome(
            StatusCode.FACE_LIVENESS_HOLD_STILL, progress=1.0, done=True
        )


@dataclass(slots=True)
class MoveRun:
    """The step in which the person holds still far away, then comes closer and holds still again."""

    limits: Thresholds
    scale: float = field(init=False)
    _hold_still: HoldStill = field(init=False)
    _left_far_at: float | None = None
    _announced_at: float | None = None
    _between: int = 0

    def __post_init__(self) -> None:
        self.scale = self.limits.guidance.far_scale
        self._hold_still = HoldStill(self.limits, CHARTS)

    def advance(self, seen: Observation, evidence: Evidence) -> StepOutcome:
        if self._announced_at is None:
            return self._hold_far(seen, evidence)
        guidance = self.limits.guidance
        if seen.face is not None:
            ratio = seen.face.eye_distance_pixels / (self.scale * min(seen.size))
            if self._left_far_at is None and ratio > 1.25 * guidance.far_scale / guidance.near_scale:
                self._left_far_at = seen.at_seconds
                if seen.at_seconds - self._announced_at < self.limits.timing.reaction_seconds:
                    evidence.faults.append("the face came closer before it was asked to")
            self._between += 1.35 * guidance.far_scale / guidance.near_scale < ratio < 1 - guidance.scale_tolerance
        outcome = self._hold_still.advance(seen, self.scale)
        if outcome is None:
            evidence.near = [face.chart for face in self._hold_still.faces[-CHARTS:]]
            self._check_way(seen.at_seconds, evidence)
            return StepOutcome(StatusCode.FACE_LIVENESS_HOLD_STILL, progress=1.0, done=True)
        if outcome.hint is Hint.CLOSER:
            return StepOutcome(StatusCode.FACE_LIVENESS_MOVE_CLOSER, Hint.CLOSER, progress=0.4)
        return StepOutcome(outcome.status_code, outcome.hint, progress=max(0.4, outcome.progress))

    def _hold_far(self, seen: Observation, evidence: Evidence) -> StepOutcome:
        outcome = self._hold_still.advance(seen, self.scale)
        if outcome is not None:
            return StepOutcome(outcome.status_code, outcome.hint, progress=0.3 * outcome.progress)
        evidence.far = [face.chart for face in self._hold_still.faces[-CHARTS:]]
        evidence.frame_size = seen.size
        self._announced_at = seen.at_seconds
        self.scale = self.limits.guidance.near_scale
        self._hold_still = HoldStill(self.limits, CHARTS, self.limits.timing.near_seconds)
        return StepOutcome(StatusCode.FACE_LIVENESS_MOVE_CLOSER, Hint.CLOSER, progress=0.4)

    def _check_way(self, at_seconds: float, evidence: Evidence) -> None:
        if self._left_far_at is None or at_seconds - self._left_far_at < self.limits.timing.move_seconds:
            evidence.faults.append("the face came closer faster than a person can")
        elif self._between < self.limits.gestures.move_between_frames:
            evidence.faults.append("the face was not seen on its way")


@dataclass(slots=True)
class GestureRun:
    """The step in which the person holds still, then turns or tilts the head to one side."""

    limits: Thresholds
    step: Turn | Tilt
    scale: float
    _hold_still: HoldStill = field(init=False)
    _straight: float = 0.0
    _announced_at: float | None = None
    _began: bool = False
    _held: int = 0
    _wrong: int = 0

    def __post_init__(self) -> None:
        self._hold_still = HoldStill(self.limits, self.limits.timing.gesture_frames)

    @property
    def _status(self) -> StatusCode:
        kind = "TURN" if isinstance(self.step, Turn) else "TILT"
        return StatusCode(f"FACE_LIVENESS_{kind}_{self.step.side.upper()}")

    def advance(self, seen: Observation, evidence: Evidence) -> StepOutcome:
        if self._announced_at is None:
            outcome = self._hold_still.advance(seen, self.scale)
            if outcome is not None:
                return StepOutcome(outcome.status_code, outcome.hint, progress=0.4 * outcome.progress)
            self._straight = float(np.median([self._pose(face) for face in self._hold_still.faces]))
            self._announced_at = seen.at_seconds
            return StepOutcome(self._status, progress=0.4)
        if seen.face is None or seen.faces > 1:
            self._held = self._wrong = 0
            status = StatusCode.FACE_MULTIPLE_FACES_DETECTED if seen.face else StatusCode.FACE_NOT_DETECTED
            return StepOutcome(status, progress=0.4)
        # 1 is a complete gesture to the wanted side.
        done = (self._pose(seen.face) - self._straight) / self._whole
        if not self._began and abs(done) > 0.5:
            self._began = True
            if seen.at_seconds - self._announced_at < self.limits.timing.reaction_seconds:
                evidence.faults.append("the head moved before it was asked to")
        self._held = self._held + 1 if done >= 1 else 0
        self._wrong = self._wrong + 1 if done <= -1 else 0
        if self._wrong == self.limits.timing.gesture_frames:
            evidence.mistakes += 1
        held = self._held / self.limits.timing.gesture_frames
        return StepOutcome(self._status, progress=0.4 + 0.6 * min(held, 1.0), done=held >= 1)

    def _pose(self, face: FaceView) -> float:
        return face.yaw if isinstance(self.step, Turn) else face.roll_degrees

    @property
    def _whole(self) -> float:
        size = self.limits.gestures.turn if isinstance(self.step, Turn) else self.limits.gestures.tilt_degrees
        return size if self.step.side is Side.LEFT else -size


@dataclass(slots=True)
class FlashRun:
    """The step in which the person holds still in the near oval while the screen shows colours.

    A lost face starts another sequence of colours, once.
    """

    limits: Thresholds
    step: Flash
    scale: float
    _colours: tuple[FlashColour, ...] = field(init=False)
    _started_at: float | None = None
    _last_face_at: float = 0.0
    _first_index: int = 0

    def __post_init__(self) -> None:
        self._colours = self.step.colours

    def advance(self, seen: Observation, evidence: Evidence) -> StepOutcome:
        now = seen.at_seconds
        if self._started_at is None:
            fault = guide(seen, self.scale, self.limits.guidance)
            if fault is not None:
                return StepOutcome(*fault)
            self._started_at = self._last_face_at = now
        if self._usable(seen) and seen.face is not None:
            self._last_face_at = now
            evidence.samples.append(sample(seen.face, now))
        elif now - self._last_face_at > self.limits.timing.lost_seconds:
            return self._start_over(evidence)
        elapsed, index = now - self._started_at, 0
        while index < len(self._colours) and elapsed >= self._colours[index].duration_seconds:
            elapsed -= self._colours[index].duration_seconds
            index += 1
        if index == len(self._colours):
            evidence.shown.append((now, None))
            return StepOutcome(StatusCode.FACE_LIVENESS_HOLD_STILL, progress=1.0, done=True)
        colour = self._colours[index].colour
        if not evidence.shown or evidence.shown[-1][1] != colour:
            evidence.shown.append((now, colour))
        return StepOutcome(
            StatusCode.FACE_LIVENESS_WATCH_COLOURS,
            colour=colour,
            flash_index=self._first_index + index,
            progress=index / len(self._colours),
        )

    def _usable(self, seen: Observation) -> bool:
        if seen.face is None or seen.faces > 1:
            return False
        ratio = seen.face.eye_distance_pixels / (self.scale * min(seen.size))
        return 0.75 < ratio < 1.35

    def _start_over(self, evidence: Evidence) -> StepOutcome:
        self._started_at = None
        self._first_index += len(self._colours)
        evidence.samples.clear()
        evidence.shown.clear()
        if self._colours is self.step.spare:
            evidence.faults.append("the face left while the colours were shown")
            return StepOutcome(StatusCode.FACE_LIVENESS_HOLD_STILL, progress=1.0, done=True)
        self._colours = self.step.spare
        return StepOutcome(StatusCode.FACE_NOT_DETECTED)
