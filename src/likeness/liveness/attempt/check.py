"""One attempt with an engine: it takes frames and returns instructions."""

from likeness.engine.base import Engine, Use
from likeness.liveness.attempt.director import Director
from likeness.liveness.attempt.script import ChallengeScript
from likeness.liveness.base import DeclaredCamera, Frame, Instruction, KeyFrame, Verdict
from likeness.liveness.frame.observation import measure_frame
from likeness.liveness.signals.identity import IdentitySample
from likeness.liveness.thresholds import THRESHOLDS, Thresholds

_SMALLEST_FRACTION = 1 / 12
"""Faces that are narrower than this fraction of the frame's shorter side are ignored."""
_TRACKED_FRACTION = 0.45
"""After a frame with a face, faces that are narrower than this fraction of it are ignored.

They are too small to count as a second face, and the search for small faces takes most of the time.
"""
_KEPT = 4
"""The number of key frames with a picture. Of all others, only the template stays."""


class Check:
    """A :class:`likeness.liveness.base.LivenessCheck`. Its time starts with the first frame or tick."""

    def __init__(
        self,
        engine: Engine,
        script: ChallengeScript,
        camera: DeclaredCamera | None = None,
        *,
        thresholds: Thresholds = THRESHOLDS,
    ) -> None:
        self._engine = engine
        self._limits = thresholds
        self._director = Director(
            script,
            thresholds,
            identity_threshold=engine.calibration.threshold(thresholds.signals.identity_level),
            camera=camera or DeclaredCamera(),
        )
        self._key_frames: list[KeyFrame] = []
        self._tracked_pixels = 0.0

    @property
    def verdict(self) -> Verdict | None:
        return self._director.verdict

    @property
    def key_frames(self) -> tuple[KeyFrame, ...]:
        """The best key frames, best first."""
        return tuple(self._key_frames)

    @property
    def best(self) -> KeyFrame | None:
        return self._key_frames[0] if self._key_frames else None

    def observe(self, frame: Frame) -> Instruction:
        if self._director.verdict is not None:
            return self._director.tick(frame.received_at_seconds)
        smallest = max(_SMALLEST_FRACTION * min(frame.image.shape[:2]), _TRACKED_FRACTION * self._tracked_pixels)
        found = self._engine.detect(frame.image, minimum_face_pixels=smallest, upright=True)
        self._tracked_pixels = found[0].box.width if found else 0.0
        seen = measure_frame(frame, found, self._limits.guidance)
        for sample in self._director.choose_samples(seen):
            self._keep(sample)
        return self._director.advance(seen)

    def tick(self, now_seconds: float) -> Instruction:
        return self._director.tick(now_seconds)

    def _keep(self, sample: IdentitySample) -> None:
        assert sample.seen.face is not None
        image, detection = sample.seen.frame.image, sample.seen.face.detection
        key = KeyFrame(
            image,
            detection,
            self._engine.embed(image, [detection])[0],
            self._engine.assess(image, detection, use=Use.PROBE),
            sample.seen.at_seconds,
            sample.step_index,
            sample.lit_by_flash,
        )
        evidence = self._director.evidence
        evidence.templates.append(key.template)
        if not key.lit_by_flash:
            evidence.live_scores.append(self._engine.live_scores(image, detection))
        self._key_frames.append(key)
        self._key_frames.sort(key=_rank)
        del self._key_frames[_KEPT:]


def _rank(key: KeyFrame) -> tuple[bool, bool, int, float]:
    """Return a sort key: the best frame for the match comes first.

    The criteria in their order: no colour on the face, good enough for its use, high quality, early.
    """
    return key.lit_by_flash, bool(key.quality.reasons), -key.quality.score, key.at_seconds
