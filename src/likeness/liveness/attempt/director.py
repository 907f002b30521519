"""The director leads a person through a script: it takes observations and returns instructions, then a verdict.

It uses neither an engine nor a clock.
"""

from likeness.kit.metrics import Count
from likeness.liveness.attempt import challenge
from likeness.liveness.attempt.evidence import Evidence
from likeness.liveness.attempt.script import ChallengeScript, Flash, Hold, LivenessMode, Move, Step, Tilt, Turn
from likeness.liveness.attempt.steps import FlashRun, GestureRun, HoldRun, MoveRun, StepOutcome, StepRun
from likeness.liveness.base import DeclaredCamera, Instruction, SignalResult, StatusCode, Verdict
from likeness.liveness.frame.observation import Observation, oval
from likeness.liveness.signals import flash, identity, injection, parallax, passive, shading
from likeness.liveness.signals.identity import IdentitySample, IdentityWatch
from likeness.liveness.signals.injection import InjectionWatch
from likeness.liveness.signals.light_response import respond
from likeness.liveness.thresholds import Thresholds

_CLOSING_FRAMES = 2
_CLOSING = "closing"
_checks = Count(
    "likeness_liveness_checks_total",
    "Liveness checks that ended, by their outcome and the step at which they ended. The last step is closing.",
    {
        "step": (*(step.__name__.lower() for step in (Hold, Move, Turn, Tilt, Flash)), _CLOSING),
        "outcome": (StatusCode.FACE_LIVENESS_PASSED, StatusCode.FACE_LIVENESS_FAILED, StatusCode.FACE_TIMEOUT),
    },
)
_ASSUMED_SIZE = 640, 480
"""The size of the frame for the oval before the first frame."""


class Director:
    """The director of one script. The same observations at the same times give the same instructions."""

    def __init__(
        self, script: ChallengeScript, limits: Thresholds, *, identity_threshold: float, camera: DeclaredCamera
    ) -> None:
        self.script = script
        self.limits = limits
        self.evidence = Evidence(InjectionWatch(camera))
        self.verdict: Verdict | None = None
        self._identity_threshold = identity_threshold
        self._index = 0
        self._run = self._begin(script.steps[0])
        self._size = _ASSUMED_SIZE
        self._started_at: float | None = None
        self._step_since = 0.0
        self._last_frame_at = 0.0
        self._progress = 0.0
        self._outcome = StepOutcome(StatusCode.FACE_NOT_DETECTED)
        self._newest_flash: int | None = None
        self._identity = IdentityWatch(limits)

    @property
    def step_index(self) -> int:
        return self._index

    def choose_samples(self, seen: Observation) -> tuple[IdentitySample, ...]:
        """Choose the observations, this one or an earlier one, that need a template for the identity signal."""
        if self.verdict is not None:
            return ()
        sample = IdentitySample(seen, self._index, lit_by_flash=self._outcome.colour is not None)
        return self._identity.choose(sample, closing=self._index == len(self.script.steps))

    def advance(self, seen: Observation) -> Instruction:
        """Take the next observation, and return the instruction after it."""
        if self.verdict is not None:
            return self._instruct()
        now = seen.at_seconds
        if self._started_at is None:
            self._started_at = self._step_since = self._last_frame_at = now
        self._size = seen.size
        self.evidence.injection.see(seen.frame, newest_flash_index=self._newest_flash)
        if self._timed_out(now):
            return self._instruct()
        self._last_frame_at = now
        self.evidence.register_next()
        outcome = self._run.advance(seen, self.evidence)
        if outcome.flash_index is not None:
            self._newest_flash = outcome.flash_index
        self._outcome = outcome
        self._progress = max(self._progress, (self._index + outcome.progress) / (len(self.script.steps) + 1))
        if outcome.done:
            self._next(now)
        return self._instruct()

    def tick(self, now_seconds: float) -> Instruction:
        """Advance the time without a frame."""
        if self._started_at is None:
            self._started_at = self._step_since = self._last_frame_at = now_seconds
        if self.verdict is None:
            self._timed_out(now_seconds)
        return self._instruct()

    def _begin(self, step: Step) -> StepRun:
        moved = any(isinstance(earlier, Move) for earlier in self.script.steps[: self._index])
        scale = self.limits.guidance.near_scale if moved else self.limits.guidance.far_scale
        timing = self.limits.timing
        match step:
            case Hold():
                return HoldRun(self.limits, scale, timing.hold_frames, timing.hold_seconds)
            case Move():
                return MoveRun(self.limits)
            case Flash():
                return FlashRun(self.limits, step, scale)
            case _:
                return GestureRun(self.limits, step, scale)

    def _next(self, now: float) -> None:
        steps = self.script.steps
        if self._index == len(steps):
            self._conclude()
            return
        self._index += 1
        self.evidence.steps_done += 1
        self._step_since = now
        if self._index < len(steps):
            self._run = self._begin(steps[self._index])
        else:
            # After any last step, the attempt needs a few more frames of the straight face.
            self._run = HoldRun(self.limits, self._run.scale, _CLOSING_FRAMES, 0.0)

    def _timed_out(self, now: float) -> bool:
        timing = self.limits.timing
        idle = now - self._last_frame_at > timing.idle_seconds
        slow = now - self._step_since > timing.step_seconds
        if idle or slow or now - (self._started_at or now) > timing.attempt_seconds:
            self._conclude(timed_out=True)
        return self.verdict is not None

    def _conclude(self, *, timed_out: bool = False) -> None:
        while self.evidence.register_next():
            pass
        signals = self._judge()
        live = not timed_out and all(signal.passed for signal in signals if signal.required)
        ending = StatusCode.FACE_LIVENESS_PASSED if live else StatusCode.FACE_LIVENESS_FAILED
        if timed_out:
            ending = StatusCode.FACE_TIMEOUT
        steps = self.script.steps
        step = type(steps[self._index]).__name__.lower() if self._index < len(steps) else _CLOSING
        _checks.add(step, ending)
        self.verdict = Verdict(live, ending, self.script.mode.value, self.script.flash, signals, self.limits.name)
        self._outcome = StepOutcome(ending, progress=1.0)
        self._progress = 1.0

    def _judge(self) -> tuple[SignalResult, ...]:
        evidence, limits = self.evidence, self.limits.signals
        signals: list[SignalResult | None] = [challenge.judge(evidence, len(self.script.steps), self.limits.gestures)]
        if any(isinstance(step, Move) for step in self.script.steps):
            signals.append(parallax.judge(parallax.measure_relief(evidence.registrations), limits))
        if self.script.flash:
            response = respond(evidence.samples, evidence.shown, limits.flash_lag_seconds)
            signals += [flash.judge(response, limits), shading.judge(response, limits)]
        alone = self.script.mode is LivenessMode.PASSIVE
        signals += [
            identity.judge(evidence.templates, self._identity_threshold),
            passive.judge(evidence.live_scores, limits.passive, required=alone),
            injection.judge(evidence.injection),
        ]
        return tuple(signal for signal in signals if signal is not None)

    def _instruct(self) -> Instruction:
        outcome = self._outcome
        return Instruction(
            status_code=outcome.status_code,
            progress=self._progress,
            step_index=min(self._index, len(self.script.steps) - 1),
            step_count=len(self.script.steps),
            oval=oval(self._size, self._run.scale),
            hint=outcome.hint,
            colour=outcome.colour,
            flash_index=outcome.flash_index,
            verdict=self.verdict,
        )
