"""All thresholds of a liveness check. docs/liveness.md describes how each was chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guidance:
    """The conditions for a frame that can be judged. Otherwise the person gets guidance, and the attempt goes on."""

    far_scale: float = 0.120
    """Wanted eye distance in the far oval, as a fraction of the frame's shorter side."""
    near_scale: float = 0.260
    """Wanted eye distance in the near oval. From far to near, the face grows by a factor of 2.2."""
    scale_tolerance: float = 0.15
    """Largest difference from the wanted eye distance, as a fraction of it."""
    off_centre: float = 0.75
    """Largest distance of the face from the oval's centre, in eye distances, or in wanted ones for a smaller face."""
    frontal_yaw: float = 0.18
    """Largest sideways offset of the nose in eye distances: about 15 degrees of yaw."""
    frontal_pitch: tuple[float, float] = (0.32, 0.88)
    """The range of the nose's place between eyes (0) and mouth (1)."""
    frontal_roll_degrees: float = 14.0
    tolerance: float = 1.25
    """A factor on all limits above for a person whose last frame was good."""
    dark: float = 35.0
    """Least mean brightness of the face, 0..255. Below it there is too little light."""
    bright: float = 235.0
    """Largest mean brightness of the face, 0..255. Without a face, that of the whole picture counts."""
    dark_picture: float = 20.0
    """Least mean brightness of a picture without a face. Below it the picture is too dark; a room at dusk is brighter.
    """
    sharpness: float = 2.0
    """Least mean absolute Laplacian of a bright face at chart size. Below it the face is blurred."""
    sharpness_brightness: float = 110.0
    """Mean brightness of the face, 0..255, below which the least sharpness falls with it."""
    second_face: float = 0.25
    """Least area of a second face that counts, as a fraction of the first face's area."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The least and the longest times of an attempt."""

    hold_frames: int = 5
    """The good frames in a row that a held pose needs."""
    hold_seconds: float = 0.5
    gesture_frames: int = 3
    idle_seconds: float = 8.0
    """Longest time without a frame. Then the attempt ends with a time-out."""
    step_seconds: float = 20.0
    attempt_seconds: float = 60.0
    reaction_seconds: float = 0.12
    """Shortest reaction time of a person to a new picture."""
    move_seconds: float = 0.35
    """Shortest time in which a person can move from the far oval to the near one, and hold still there."""
    near_seconds: float = 0.2
    """Least time that the near pose is held. A fast camera gives the frames of this pose sooner."""
    lost_seconds: float = 0.8
    """Longest time without a face during the colours. Then the colours start again, in another order."""
    key_frame_seconds: float = 1.2
    """Longest time between two comparisons of the identity while the face is frontal."""


@dataclass(frozen=True, slots=True)
class Track:
    """The limits of change between two frames. Beyond them, the faces before and after the change are compared.

    A person does not fail because of these limits.
    """

    gap_seconds: float = 0.5
    jump: float = 0.5
    """Largest movement of the face's middle, in eye distances."""
    growth: float = 1.3
    """Largest ratio of the two sizes."""
    resemblance: float = 0.8
    """Least correlation of the faces' detail. Below it, the faces can be those of two people."""


@dataclass(frozen=True, slots=True)
class Gestures:
    """The size of a complete gesture, relative to the person's straight pose before it."""

    turn: float = 0.17
    """Change of the nose's sideways offset, in eye distances: about 20 degrees of yaw."""
    tilt_degrees: float = 11.0
    mistakes: int = 1
    """The number of gestures to the wrong side that an attempt allows."""
    move_between_frames: int = 1
    """The number of frames that must show the face between far and near."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The thresholds of the verdict. Each signal passes at or above its own threshold."""

    parallax: float = 0.12
    flash_correlation: float = 0.83
    flash_response: float = 0.02
    """Least relative brightening of the face for the screen's full light, minus that of the background."""
    flash_lag_seconds: tuple[float, float] = (0.03, 0.75)
    shading: float = 0.03
    shading_most: float = 0.5
    """Largest score. Above it, a few places reflect nearly all of the light: a glint, which skin does not make."""
    identity_level: int = 4
    """The level that the two least similar groups of an attempt's templates must reach with each other."""
    passive: float = 0.30
    injection: float = 1.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds of a liveness check."""

    name: str = "built-in"
    """Names the data that the thresholds of the signals rest on. A result states it."""
    guidance: Guidance = Guidance()
    timing: Timing = Timing()
    track: Track = Track()
    gestures: Gestures = Gestures()
    signals: Signals = Signals()


THRESHOLDS = Thresholds()
