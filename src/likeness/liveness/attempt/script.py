"""The challenge of one attempt, drawn by the server from a cryptographic source of chance.

A script is drawn anew for every attempt and is never sent to the client: each instruction tells only the present
moment.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Protocol, TypeVar

from likeness.liveness.base import Colour

T = TypeVar("T")


class LivenessMode(StrEnum):
    """How much is asked of the person."""

    PASSIVE = "passive"
    """Look into the camera. Rests on the pack's PAD models alone: see docs/liveness.md for what that is worth."""
    ACTIVE = "active"
    """Move closer, and the screen's colours on the face."""
    STRICT = "strict"
    """As active, with gestures."""


class Gesture(StrEnum):
    """The contract's gestures."""

    FACE_MOVE = "FACE_MOVE"
    FACE_TURN = "FACE_TURN"
    FACE_TILT = "FACE_TILT"


class Side(StrEnum):
    """The person's own side."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Hold:
    """Look straight ahead inside the far oval until enough good frames were seen."""


@dataclass(frozen=True, slots=True)
class Move:
    """Come closer, from the far oval to the near one."""

    gesture = Gesture.FACE_MOVE


@dataclass(frozen=True, slots=True)
class Turn:
    """Look straight, then turn the head to one side (yaw)."""

    side: Side
    gesture = Gesture.FACE_TURN


@dataclass(frozen=True, slots=True)
class Tilt:
    """Look straight, then lean the head towards one shoulder (roll)."""

    side: Side
    gesture = Gesture.FACE_TILT


@dataclass(frozen=True, slots=True)
class FlashColour:
    """One colour on the screen and for how long."""

    colour: Colour
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Flash:
    """Hold still while the screen shows the colours one after another."""

    colours: tuple[FlashColour, ...]
    spare: tuple[FlashColour, ...]
    """Another draw, for starting over when the face was lost: no person may answer a draw that they have already seen.
    """


Step = Hold | Move | Turn | Tilt | Flash


@dataclass(frozen=True, slots=True)
class ChallengeScript:
    """The steps of one attempt in order."""

    mode: LivenessMode
    flash: bool
    steps: tuple[Step, ...]


PALETTE = (
    Colour(255, 130, 130),
    Colour(255, 255, 60),
    Colour(70, 255, 70),
    Colour(60, 255, 255),
    Colour(90, 90, 255),
    Colour(255, 90, 255),
)
"""Six hues in the order of the colour circle. None is a saturated red in the sense of WCAG 2.2 §2.3.1 (R/(R+G+B) <
0.8)."""

FLASH_COUNT = 8
FLASH_SECONDS = (0.40, 0.60)
"""No colour stays shorter than 0.4 s: at most 2.5 changes, so 1.25 flashes (pairs of changes), in any second; WCAG
allows three."""


class Chance(Protocol):
    """The part of ``random.Random`` that is used.

    ``secrets.SystemRandom`` is one, and so is a seeded one in a simulation.
    """

    def sample(self, population: Sequence[T], k: int) -> list[T]: ...

    def choice(self, seq: Sequence[T]) -> T: ...

    def shuffle(self, x: list[T]) -> None: ...

    def uniform(self, a: float, b: float) -> float: ...


def draw_script(mode: LivenessMode, *, flash: bool = True, chance: Chance | None = None) -> ChallengeScript:
    """Draw the challenge of one attempt.

    ``flash=False`` is the way for photosensitive people: the colours are replaced by gestures, so that the challenge
    stays unpredictable. ``chance`` is the operating system's CSPRNG unless a simulation brings its own.
    """
    chance = chance or secrets.SystemRandom()
    if mode is LivenessMode.PASSIVE:
        return ChallengeScript(mode, flash=False, steps=(Hold(),))
    turns: list[list[Step]] = [[Turn(side)] for side in chance.sample((Side.LEFT, Side.RIGHT), 2)]
    tilts: list[list[Step]] = [[Tilt(side)] for side in chance.sample((Side.LEFT, Side.RIGHT), 2)]
    match mode, flash:
        case LivenessMode.STRICT, True:
            gestures = [turns[0], tilts[0]]
        case LivenessMode.STRICT, False:
            gestures = [*turns, *tilts]
        case _, True:
            gestures = []
        case _:
            gestures = [turns[0], tilts[0], chance.choice((turns, tilts))[1]]
    approach: list[Step] = [Move()]
    if flash:
        approach.append(Flash(draw_colours(chance), draw_colours(chance)))
    parts = [approach, *gestures]
    chance.shuffle(parts)
    return ChallengeScript(mode, flash, steps=(Hold(), *(step for part in parts for step in part)))


def draw_colours(chance: Chance) -> tuple[FlashColour, ...]:
    """Draw a sequence of colours in which neighbours differ and no hue dominates.

    Every hue comes once and two come twice, so each direction of the colour plane is excited in every draw. There are
    86,400 orders, and the durations vary on top.
    """
    while True:
        order = [*PALETTE, *chance.sample(PALETTE, FLASH_COUNT - len(PALETTE))]
        chance.shuffle(order)
        if all(a != b for a, b in pairwise(order)):
            return tuple(FlashColour(colour, round(chance.uniform(*FLASH_SECONDS), 2)) for colour in order)
