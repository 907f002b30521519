"""The hints that the frames do not come from a camera."""

from enum import StrEnum
from typing import Protocol

from likeness.liveness.base import Frame


class InjectionHint(StrEnum):
    """A trace of injected frames. The value is its code in the result."""

    VIRTUAL_CAMERA = "VIRTUAL_CAMERA"
    NOT_A_CAMERA = "NOT_A_CAMERA"
    IMPOSSIBLE_SETTINGS = "IMPOSSIBLE_SETTINGS"
    CAMERA_CALL_REPLACED = "CAMERA_CALL_REPLACED"
    REPEATED_FRAMES = "REPEATED_FRAMES"
    INTERPOLATED_FRAMES = "INTERPOLATED_FRAMES"
    NO_SENSOR_NOISE = "NO_SENSOR_NOISE"
    TOO_MANY_FRAMES = "TOO_MANY_FRAMES"
    PERFECT_TIMING = "PERFECT_TIMING"
    CLOCK_CONTRADICTION = "CLOCK_CONTRADICTION"
    CAMERA_CLOCK_CONTRADICTION = "CAMERA_CLOCK_CONTRADICTION"
    EARLY_ANSWER = "EARLY_ANSWER"
    IMPOSSIBLE_ANSWER = "IMPOSSIBLE_ANSWER"
    COMPRESSION_CHANGED = "COMPRESSION_CHANGED"
    UNSIGNED_FRAMES = "UNSIGNED_FRAMES"

    @property
    def reason(self) -> str:
        return _REASONS[self]


_REASONS = {
    InjectionHint.VIRTUAL_CAMERA: "the camera is a virtual one",
    InjectionHint.NOT_A_CAMERA: "the pictures do not come from a camera",
    InjectionHint.IMPOSSIBLE_SETTINGS: "the camera's settings are impossible",
    InjectionHint.CAMERA_CALL_REPLACED: "the page's call for the camera was replaced",
    InjectionHint.REPEATED_FRAMES: "frames repeat",
    InjectionHint.INTERPOLATED_FRAMES: "frames are computed from their neighbours",
    InjectionHint.NO_SENSOR_NOISE: "frames carry no sensor noise",
    InjectionHint.TOO_MANY_FRAMES: "frames come faster than from a camera",
    InjectionHint.PERFECT_TIMING: "frames come at perfectly equal times",
    InjectionHint.CLOCK_CONTRADICTION: "the client's clock contradicts itself",
    InjectionHint.CAMERA_CLOCK_CONTRADICTION: "the camera's clock contradicts the client's",
    InjectionHint.EARLY_ANSWER: "a colour was reported before it was shown",
    InjectionHint.IMPOSSIBLE_ANSWER: "a colour was answered faster than a screen can show it",
    InjectionHint.COMPRESSION_CHANGED: "the frames were compressed by several programs",
    InjectionHint.UNSIGNED_FRAMES: "frames are not signed by the page's key",
}


class HintWatch(Protocol):
    """Looks at all frames of an attempt for some hints."""

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        """Take a frame. ``newest_flash_index`` is the last colour that was sent to the page so far."""
        ...

    def found(self) -> dict[InjectionHint, bool]:
        """Return for each hint of this watch whether the frames so far give it."""
        ...


def allowed(fraction: float, frames: int) -> float:
    """Return how many of the frames may have a fault by chance: a fraction, and at least one."""
    return max(1.0, fraction * frames)
