"""What a liveness check takes and gives.

Frames come as the camera saw them, not mirrored, upright. LEFT and RIGHT are the person's own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from likeness.engine.base import Detection, Image, Quality, Template


class StatusCode(StrEnum):
    """What the client is told with every frame: guidance, a challenge, or an ending (contract §6)."""

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
    """The direction in which guidance wants the person to go."""

    CLOSER = "closer"
    FARTHER = "farther"
    LOOK_STRAIGHT = "lookStraight"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Oval:
    """Where the face is wanted: an ellipse in pixels of the frame, camera orientation."""

    centre_x: float
    centre_y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Colour:
    """What the screen is filled with, sRGB 0..255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera frame as it reached the server."""

    image: Image
    received_at_seconds: float
    """Server clock; never decreasing within an attempt."""
    digest: bytes
    """A hash of the bytes as they were received, to notice repetition."""
    client_at_seconds: float | None = None
    """The client's own clock at capture. A hint: nothing is granted for it, contradictions count against it."""
    flash_index: int | None = None
    """The index of the flash that the client says was on the screen at capture. Likewise only a hint."""


class SignalName(StrEnum):
    """The members of a verdict, in the order in which they are told."""

    CHALLENGE = "challenge"
    PARALLAX = "parallax"
    FLASH = "flash"
    SHADING = "shading"
    IDENTITY = "identity"
    PASSIVE = "passive"
    INJECTION = "injection"


@dataclass(frozen=True, slots=True)
class SignalResult:
    """One signal's outcome: passed when ``score >= threshold``, with the reason in plain words.

    A signal that is not ``required`` is told but decides nothing.
    """

    name: SignalName
    score: float
    threshold: float
    passed: bool
    reason: str
    required: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name.value,
            "score": round(self.score, 4),
            "threshold": self.threshold,
            "passed": self.passed,
            "required": self.required,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of one attempt."""

    live: bool
    status_code: StatusCode
    """FACE_LIVENESS_PASSED, FACE_LIVENESS_FAILED, or FACE_TIMEOUT when the attempt ended before it could be judged."""
    mode: str
    flash: bool
    signals: tuple[SignalResult, ...]

    @property
    def failed(self) -> tuple[SignalName, ...]:
        """The required signals that did not pass."""
        return tuple(signal.name for signal in self.signals if signal.required and not signal.passed)

    def as_json(self) -> dict[str, Any]:
        """Give the ``liveness`` member of the signed result. No image, template or coordinate is in it."""
        return {
            "live": self.live,
            "mode": self.mode,
            "flash": self.flash,
            "signals": [signal.as_json() for signal in self.signals],
        }


@dataclass(frozen=True, slots=True)
class Instruction:
    """The server's answer to one frame: all that the page shows."""

    status_code: StatusCode
    progress: float
    """Fraction of the attempt that is done, 0..1, never decreasing."""
    step_index: int
    step_count: int
    oval: Oval
    hint: Hint | None = None
    colour: Colour | None = None
    """Fill the whole screen with this at once; None: the page's own background."""
    flash_index: int | None = None
    """The colour's running number, to be echoed as ``Frame.flash_index``."""
    verdict: Verdict | None = None
    """Set once, when the attempt is over."""

    def as_json(self) -> dict[str, Any]:
        """Give the message to the page. The verdict's scores are not told to it, only the ending's status code."""
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
    """A frame kept for identity and for the match: near-frontal, sharp, one face."""

    image: Image
    detection: Detection
    template: Template
    quality: Quality
    at_seconds: float
    step_index: int
    lit_by_flash: bool
    """Whether the screen coloured the face; such a frame is no audit image if another exists."""


class LivenessCheck(Protocol):
    """One attempt, held in memory. Not thread-safe: one frame at a time. Deterministic given its inputs."""

    @property
    def verdict(self) -> Verdict | None: ...

    @property
    def key_frames(self) -> tuple[KeyFrame, ...]: ...

    @property
    def best(self) -> KeyFrame | None:
        """The key frame to match and to keep as the audit image; None before the first one."""
        ...

    def observe(self, frame: Frame) -> Instruction:
        """Judge one frame (blocks some 20 ms; belongs on an executor).

        After the verdict it repeats the last instruction.
        """
        ...

    def tick(self, now_seconds: float) -> Instruction:
        """Let time pass without a frame, so that the idle and total time-outs are noticed."""
        ...
