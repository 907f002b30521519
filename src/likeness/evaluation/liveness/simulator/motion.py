"""Motion of a person, or of a hand that holds an object: it follows the page late and smoothly, with a tremor."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from likeness.evaluation.liveness.simulator.scene import Pose
from likeness.evaluation.liveness.simulator.surfaces import HEAD_WIDTH_CM
from likeness.liveness.base import Hint, StatusCode

_TREMOR = {"x": 0.12, "y": 0.12, "z": 0.2, "yaw": 0.5, "pitch": 0.5, "roll": 0.4}
"""Standard deviation of each axis, in centimetres or degrees."""
_TURNS = {StatusCode.FACE_LIVENESS_TURN_LEFT: 1, StatusCode.FACE_LIVENESS_TURN_RIGHT: -1}
_TILTS = {StatusCode.FACE_LIVENESS_TILT_LEFT: 1, StatusCode.FACE_LIVENESS_TILT_RIGHT: -1}


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement from one pose to the next on a minimum-jerk path (Flash and Hogan, 1985)."""

    start: Pose
    end: Pose
    from_seconds: float
    lasting_seconds: float

    def pose(self, at_seconds: float) -> Pose:
        fraction = float(np.clip((at_seconds - self.from_seconds) / self.lasting_seconds, 0, 1))
        eased = fraction**3 * (10 - 15 * fraction + 6 * fraction**2)
        return blend(self.start, self.end, eased)


class Motion:
    """A motion that follows the page's instructions with the delay and tremor of a body."""

    def __init__(
        self,
        chance: np.random.Generator,
        focal_pixels: float,
        centre: tuple[float, float],
        *,
        tremor: float = 1.0,
        size: float = 1.0,
    ) -> None:
        self._chance = chance
        self._width_cm = HEAD_WIDTH_CM * size
        self._focal = focal_pixels
        self._centre = centre
        self._fit = float(chance.uniform(0.93, 1.05))
        x, y = chance.normal(0, 2, 2)
        yaw, pitch, roll = chance.normal(0, 4, 3)
        start = Pose(x, y, chance.uniform(40, 70), yaw, pitch, roll)
        self._movement = Movement(start, start, 0.0, 1.0)
        self._coming: Movement | None = None
        self._heard: tuple[Any, ...] = ()
        self._waves = {
            name: (tremor * strength / np.sqrt(1.5), chance.uniform(0.2, 3.0, 3), chance.uniform(0, 2 * np.pi, 3))
            for name, strength in _TREMOR.items()
        }

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        """Take an instruction. A new one starts a movement after a reaction time."""
        oval, hint = message["oval"], message["hint"]
        status = StatusCode(message["statusCode"])
        gesture = status if status in _TURNS or status in _TILTS else None
        # The page repeats guidance on distance until the person follows it, so each repetition counts as new.
        insisting = int(at_seconds * 1.5) if hint in {Hint.CLOSER, Hint.FARTHER} else 0
        heard = (round(oval["width"], -1), hint, gesture, insisting)
        if heard == self._heard:
            return
        self._heard = heard
        self._fit *= {Hint.CLOSER: 1.05, Hint.FARTHER: 0.96}.get(hint, 1.0)
        self._fit = float(np.clip(self._fit, 0.75, 1.3))
        distance = self._focal * self._width_cm / (oval["width"] * self._fit)
        offset_x, offset_y = oval["x"] - self._centre[0], oval["y"] - self._centre[1]
        end = Pose(
            offset_x / self._focal * distance + self._chance.normal(0, 0.5),
            offset_y / self._focal * distance + self._chance.normal(0, 0.5) - 0.5,
            distance,
            _TURNS.get(status, 0) * self._chance.uniform(20, 38) + self._chance.normal(0, 2),
            self._chance.normal(0, 2.5),
            _TILTS.get(status, 0) * self._chance.uniform(16, 30) + self._chance.normal(0, 1.5),
        )
        begins = at_seconds + float(np.clip(self._chance.lognormal(np.log(0.45), 0.35), 0.2, 1.5))
        self._coming = Movement(self._movement.end, end, begins, float(self._chance.uniform(0.6, 1.4)))

    def pose(self, at_seconds: float) -> Pose:
        if self._coming and at_seconds >= self._coming.from_seconds:
            here = self._movement.pose(self._coming.from_seconds)
            self._movement = Movement(here, self._coming.end, self._coming.from_seconds, self._coming.lasting_seconds)
            self._coming = None
        steady = self._movement.pose(at_seconds)
        shaken = {
            name: getattr(steady, name) + size * float(np.sin(2 * np.pi * speeds * at_seconds + phases).sum())
            for name, (size, speeds, phases) in self._waves.items()
        }
        return Pose(**shaken)


def blend(start: Pose, end: Pose, fraction: float) -> Pose:
    """Interpolate between two poses. ``fraction`` 0 is ``start``, and 1 is ``end``."""
    return Pose(
        *(
            getattr(start, field.name) + fraction * (getattr(end, field.name) - getattr(start, field.name))
            for field in fields(Pose)
        )
    )
