"""The challenge of one attempt, which the server draws from a cryptographic source of randomness.

Every attempt has a new script. The client never gets it: each instruction has only the present step.
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
    """The amount that an attempt asks of the person."""

    PASSIVE = "passive"
    """Look into the camera. The verdict relies on the PAD models alone; docs/liveness.md describes the limits of that.
    """
    ACTIVE = "active"
    """Move closer, then hold still while the screen shows colours."""
    STRICT = "strict"
    """The steps of active, and gestures."""


class Gesture(StrEnum):
    """The gestures of the API."""

    FACE_MOVE = "FACE_MOVE"
    FACE_TURN = "FACE_TURN"
    FACE_TILT = "FACE_TILT"


class Side(StrEnum):
    """The person's own side."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Hold:
    """Look straight ahead inside the far oval until there are enough good frames."""


@dataclass(frozen=True, slots=True)
class Move:
    """Come closer from the far oval to the near one."""

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
    """One colour of the screen and its duration."""

    colour: Colour
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Flash:
    """Hold still while the screen shows the colours one after another."""

    colours: tuple[FlashColour, ...]
    spare: tuple[FlashColour, ...]
    """A second draw for a new start after a lost face, because the person has already seen the first draw."""


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
"""Six hues in the order of the colour circle. By WCAG 2.2 §2.3.1, none is a saturated red (R/(R+G+B) < 0.8)."""

FLASH_COUNT = 8
FLASH_SECONDS = (0.40, 0.60)
"""The range of a colour's duration. With at least 0.4 s, any second has at most 2.5 changes. These are 1.25 flashes
(pairs of changes), and WCAG allows three."""


class Chance(Protocol):
    """The methods of ``random.Random`` that this module uses.

    ``secrets.SystemRandom`` has them. A simulation uses a seeded ``random.Random``.
    """

    def sample(self, population: Sequence[T], k: int) -> list[T]: ...

    def choice(self, seq: Sequence[T]) -> T: ...

    def shuffle(self, x: list[T]) -> None: ...

    def uniform(self, a: float, b: float) -> float: ...


def draw_script(mode: LivenessMode, *, flash: bool = True, chance: Chance | None = None) -> ChallengeScript:
    """Draw the challenge of one attempt.

    ``flash=False`` is for photosensitive people. Gestures then replace the colours, so that the challenge stays
    unpredictable. ``chance`` is the operating system's CSPRNG, except in a simulation.
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

    Two of the hues occur twice and the others once, so every draw covers all directions of the colour plane. There are
    86,400 orders, and the durations vary, too.
    """
    while True:
        order = [*PALETTE, *chance.sample(PALETTE, FLASH_COUNT - len(PALETTE))]
        chance.shuffle(order)
        if all(a != b for a, b in pairwise(order)):
            return tuple(FlashColour(colour, round(chance.uniform(*FLASH_SECONDS), 2)) for colour in order)
