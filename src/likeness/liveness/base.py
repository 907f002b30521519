"""The inputs and outputs of a liveness check.

Frames are upright and not mirrored. LEFT and RIGHT are the person's own sides.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from likeness.engine.base import Detection, Image, Quality, Template


class StatusCode(StrEnum):
    """The status that the client gets after every frame: guidance, a part of the challenge, or the end."""

    FACE_NOT_DETECTED = "FACE_NOT_DETECTED"
    FACE_MULTIPLE_FACES_DETECTED = "FACE_MULTIPLE_FACES_DETECTED"
    FACE_INCORRECT_POSITION_DETECTED = "FACE_INCORRECT_POSITION_DETECTED"
    FACE_INCORRECT_DISTANCE_DETECTED = "FACE_INCORRECT_DISTANCE_DETECTED"
    FACE_INCORRECT_POSE_DETECTED = "FACE_INCORRECT_POSE_DETECTED"
    FACE_DARK_ENVIRONMENT_DETECTED = "FACE_DARK_ENVIRONMENT_DETECTED"
    FACE_BRIGHT_ENVIRONMENT_DETECTED = "FACE_BRIGHT_ENVIRONMENT_DETECTED"
    FACE_BLUR_DETECTED = "FACE_BLUR_DETECTED"
    FACE_EYES_CLOSED_DETECTED = "FACE_EYES_CLOSED_DETECTED"

    FACE_LIVENESS_HOLD_STILL = "FACE_LIVENESS_HOLD_STILL"
    FACE_LIVENESS_MOVE_CLOSER = "FACE_LIVENESS_MOVE_CLOSER"
    FACE_LIVENESS_WATCH_COLOURS = "FACE_LIVENESS_WATCH_COLOURS"
    FACE_LIVENESS_TURN_LEFT = "FACE_LIVENESS_TURN_LEFT"
    FACE_LIVENESS_TURN_RIGHT = "FACE_LIVENESS_TURN_RIGHT"
    FACE_LIVENESS_TILT_LEFT = "FACE_LIVENESS_TILT_LEFT"
    FACE_LIVENESS_TILT_RIGHT = "FACE_LIVENESS_TILT_RIGHT"

    FACE_LIVENESS_PASSED = "FACE_LIVENESS_PASSED"
    FACE_LIVENESS_FAILED = "FACE_LIVENESS_FAILED"
    FACE_TIMEOUT = "FACE_TIMEOUT"


class Hint(StrEnum):
    """The direction in which the person should move, as a part of guidance."""

    CLOSER = "closer"
    FARTHER = "farther"
    LOOK_STRAIGHT = "lookStraight"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Oval:
    """The wanted place of the face: an ellipse in pixels of the frame, in the camera's orientation."""

    centre_x: float
    centre_y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour that fills the screen, in sRGB 0..255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera frame as the server received it."""

    image: Image
    received_at_seconds: float
    """The server's clock. It never decreases within an attempt."""
    data: bytes
    """The received bytes, a JPEG."""
    client_at_seconds: float | None = None
    """The client's clock at capture. It is not trusted: it proves nothing, but contradictions count as injection."""
    flash_index: int | None = None
    """The index of the colour on the screen at capture, by the client's statement. It is not trusted either."""
    camera_at_seconds: float | None = None
    """The camera's own clock at the frame, by the client's statement, like the next member."""
    camera_frame: int | None = None
    """The number of the frame since the camera was opened."""
    signed: bool | None = None
    """Whether the page's key signed the bytes. None where nobody looked."""


@dataclass(frozen=True, slots=True)
class DeclaredCamera:
    """The browser's statements about the camera of an attempt. They are not trusted: see ``Frame``."""

    label: str | None = None
    """The camera's name in the system."""
    track: str | None = None
    """The class of its track. A camera's is ``MediaStreamTrack``."""
    listed: bool | None = None
    """Whether it is among the cameras that the browser lists."""
    native: bool | None = None
    """Whether the browser's own code answered the page's call for the camera."""
    width: float | None = None
    height: float | None = None
    frames_per_second: float | None = None
    most_width: float | None = None
    most_height: float | None = None
    most_frames_per_second: float | None = None


class SignalName(StrEnum):
    """The signals of a verdict, in their order in the result."""

    CHALLENGE = "challenge"
    PARALLAX = "parallax"
    FLASH = "flash"
    SHADING = "shading"
    IDENTITY = "identity"
    PASSIVE = "passive"
    INJECTION = "injection"


GRADED = {
    SignalName.PARALLAX: "parallax",
    SignalName.FLASH: "flash_correlation",
    SignalName.SHADING: "shading",
}
"""The signals whose score says how near an attempt is to the threshold, with the names of their thresholds in
``Signals``. The others pass or fail, or are of the pack."""


@dataclass(frozen=True, slots=True)
class SignalResult:
    """One signal's outcome: it passes if ``score >= threshold``. The reason is in plain words.

    A signal that is not ``required`` is reported, but it does not affect the verdict.
    """

    name: SignalName
    score: float
    threshold: float
    passed: bool
    reason: str
    required: bool = True
    codes: tuple[str, ...] = ()
    """The reasons as codes for programs."""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name.value,
            "score": round(self.score, 4),
            "threshold": self.threshold,
            "passed": self.passed,
            "required": self.required,
            "reason": self.reason,
            "codes": list(self.codes),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of one attempt."""

    live: bool
    status_code: StatusCode
    """FACE_LIVENESS_PASSED, FACE_LIVENESS_FAILED, or FACE_TIMEOUT if the attempt ended too early to be judged."""
    mode: str
    flash: bool
    signals: tuple[SignalResult, ...]
    thresholds: str
    """The name of the thresholds (``Thresholds.name``)."""

    @property
    def failures(self) -> tuple[SignalResult, ...]:
        """The required signals that did not pass."""
        return tuple(signal for signal in self.signals if signal.required and not signal.passed)

    @property
    def failed(self) -> tuple[SignalName, ...]:
        """The names of :attr:`failures`."""
        return tuple(signal.name for signal in self.failures)

    def is_near(self, margin: float) -> bool:
        """Whether only graded signals failed, each by at most this fraction of its threshold."""
        if self.status_code is StatusCode.FACE_TIMEOUT or not self.failures:
            return False
        return all(each.name in GRADED and each.score >= (1 - margin) * each.threshold for each in self.failures)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for the signed result. It has no image, template or coordinate."""
        return {
            "live": self.live,
            "mode": self.mode,
            "flash": self.flash,
            "thresholds": self.thresholds,
            "signals": [signal.as_json() for signal in self.signals],
        }


@dataclass(frozen=True, slots=True)
class Instruction:
    """The server's answer to one frame, with all that the page shows."""

    status_code: StatusCode
    progress: float
    """Fraction of the attempt that is done, 0..1. It never decreases."""
    step_index: int
    step_count: int
    oval: Oval
    hint: Hint | None = None
    colour: Colour | None = None
    """The colour that must fill the whole screen at once. None means the page's own background."""
    flash_index: int | None = None
    """The colour's running number, which the client returns as ``Frame.flash_index``."""
    verdict: Verdict | None = None
    """The verdict, after the end of the attempt."""

    def as_json(self) -> dict[str, Any]:
        """Return the message to the page. It has the status code of the end, but not the verdict's scores."""
        return {
            "statusCode": self.status_code.value,
            "progress": round(self.progress, 3),
            "step": self.step_index,
            "steps": self.step_count,
            "oval": {
                "x": round(self.oval.centre_x, 1),
                "y": round(self.oval.centre_y, 1),
                "width": round(self.oval.width, 1),
                "height": round(self.oval.height, 1),
            },
            "hint": self.hint.value if self.hint else None,
            "colour": str(self.colour) if self.colour else None,
            "flashIndex": self.flash_index,
            "done": self.verdict is not None,
        }


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """A frame for the identity signal and for the match: near-frontal, sharp, with one face."""

    image: Image
    detection: Detection
    template: Template
    quality: Quality
    at_seconds: float
    step_index: int
    lit_by_flash: bool
    """Whether a colour lit the face. Such a frame is an audit image only if there is no other."""


class LivenessCheck(Protocol):
    """One attempt in memory. It is deterministic. It is not thread-safe: call it for one frame at a time."""

    @property
    def verdict(self) -> Verdict | None: ...

    @property
    def key_frames(self) -> tuple[KeyFrame, ...]: ...

    @property
    def best(self) -> KeyFrame | None:
        """The key frame for the match and the audit image, or None before the first key frame."""
        ...

    def observe(self, frame: Frame) -> Instruction:
        """Judge one frame. This blocks for about 20 ms, so call it on an executor.

        After the verdict, it returns the last instruction again.
        """
        ...

    def tick(self, now_seconds: float) -> Instruction:
        """Advance the time without a frame, so that the idle and total time-outs apply."""
        ...
