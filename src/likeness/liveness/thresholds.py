"""Every number that a liveness check decides on, once. docs/liveness.md tells what each was set by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guidance:
    """When a frame is good enough to judge. Falling short is told to the person and is no failed attempt."""

    far_scale: float = 0.120
    """Wanted eye distance in the far oval, as a fraction of the frame's shorter side."""
    near_scale: float = 0.260
    """The same in the near oval; from far to near the face grows by 2.2."""
    scale_tolerance: float = 0.15
    """How far the eye distance may be from the wanted one, as a fraction of it."""
    off_centre: float = 0.75
    """How far the face may be from the oval's centre, in eye distances (of the wanted size, while the face is smaller).
    """
    frontal_yaw: float = 0.18
    """Largest sideways offset of the nose in eye distances, some 15 degrees of yaw."""
    frontal_pitch: tuple[float, float] = (0.32, 0.88)
    """Where the nose may be between eyes (0) and mouth (1)."""
    frontal_roll_degrees: float = 14.0
    tolerance: float = 1.25
    """Factor on all of the above for who was well placed in the frame before."""
    dark: float = 35.0
    """Mean brightness of the face, 0..255, below which there is too little light."""
    bright: float = 235.0
    """The same for too much. Where no face is found, that of the whole picture counts."""
    dark_picture: float = 20.0
    """Mean brightness of a picture without a face below which it is told to be too dark; a room at dusk is brighter."""
    sharpness: float = 2.0
    """Mean absolute Laplacian of the face at chart size below which it is blurred."""
    second_face: float = 0.25
    """Area of a second face, as a fraction of the first's, from which on it is one too many."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may and must take."""

    hold_frames: int = 5
    """Good frames in a row that make a pose held."""
    hold_seconds: float = 0.5
    gesture_frames: int = 3
    idle_seconds: float = 8.0
    """Without a frame for so long the attempt ends as timed out."""
    step_seconds: float = 20.0
    attempt_seconds: float = 60.0
    reaction_seconds: float = 0.12
    """No person responds sooner to a picture that was just shown."""
    move_seconds: float = 0.35
    """Nobody comes from the far oval to the near one faster."""
    lost_seconds: float = 0.8
    """A face out of sight for so long during the colours means that they start over, in another order."""
    key_frame_seconds: float = 1.2
    """At least so often the identity is looked at while the face is frontal."""


@dataclass(frozen=True, slots=True)
class Track:
    """Between one frame and the next, beyond which the face is compared anew on both sides. Nobody fails for it."""

    gap_seconds: float = 0.5
    jump: float = 0.5
    """How far the face's middle moved, in eye distances."""
    growth: float = 1.3
    resemblance: float = 0.8
    """Correlation of the faces' detail, below which they may be two people's."""


@dataclass(frozen=True, slots=True)
class Gestures:
    """When a gesture counts as done, against the same person's straight look before it."""

    turn: float = 0.17
    """Change of the nose's sideways offset in eye distances; some 20 degrees of yaw."""
    tilt_degrees: float = 11.0
    mistakes: int = 1
    """Gestures to the wrong side that are forgiven in an attempt."""
    move_between_frames: int = 1
    """Frames that must show the face on its way from far to near."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The thresholds of the verdict; each signal passes at or above its own."""

    parallax: float = 0.12
    flash_correlation: float = 0.83
    flash_response: float = 0.02
    """Least relative brightening of the face, beyond the background's, for the screen's full light."""
    flash_lag_seconds: tuple[float, float] = (0.03, 0.75)
    shading: float = 0.03
    shading_most: float = 0.5
    """Beyond it, the colours came back from a few places and hardly from the rest: a glint, which no skin makes."""
    identity_level: int = 4
    """The match level that the two least alike groups of one attempt's looks must reach with each other."""
    passive: float = 0.30
    injection: float = 1.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds of a liveness check, by what they decide on."""

    guidance: Guidance = Guidance()
    timing: Timing = Timing()
    track: Track = Track()
    gestures: Gestures = Gestures()
    signals: Signals = Signals()


THRESHOLDS = Thresholds()
