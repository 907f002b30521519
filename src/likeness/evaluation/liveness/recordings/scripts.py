"""A drawn challenge as JSON values, and back."""

from typing import Any

from likeness.liveness.attempt.script import (
    ChallengeScript,
    Flash,
    FlashColour,
    Hold,
    LivenessMode,
    Move,
    Side,
    Step,
    Tilt,
    Turn,
)
from likeness.liveness.base import Colour


def write_script(script: ChallengeScript) -> dict[str, Any]:
    """Return a challenge as JSON values."""
    return {"mode": script.mode.value, "flash": script.flash, "steps": [_write(step) for step in script.steps]}


def read_script(held: dict[str, Any]) -> ChallengeScript:
    """Return the challenge of :func:`write_script`."""
    return ChallengeScript(LivenessMode(held["mode"]), held["flash"], tuple(map(_read, held["steps"])))


def _write(step: Step) -> dict[str, Any]:
    match step:
        case Hold():
            return {"step": "hold"}
        case Move():
            return {"step": "move"}
        case Turn(side):
            return {"step": "turn", "side": side.value}
        case Tilt(side):
            return {"step": "tilt", "side": side.value}
        case Flash(colours, spare):
            return {"step": "flash", "colours": _colours(colours), "spare": _colours(spare)}


def _colours(colours: tuple[FlashColour, ...]) -> list[list[float]]:
    return [[each.colour.red, each.colour.green, each.colour.blue, each.duration_seconds] for each in colours]


def _read(held: dict[str, Any]) -> Step:
    match held["step"]:
        case "hold":
            return Hold()
        case "move":
            return Move()
        case "turn":
            return Turn(Side(held["side"]))
        case "tilt":
            return Tilt(Side(held["side"]))
        case _:
            return Flash(_read_colours(held["colours"]), _read_colours(held["spare"]))


def _read_colours(held: list[Any]) -> tuple[FlashColour, ...]:
    return tuple(FlashColour(Colour(*rgb), seconds) for *rgb, seconds in held)
