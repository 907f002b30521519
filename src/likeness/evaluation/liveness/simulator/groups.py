"""Groups of simulated live people. Each has one trait of the camera, the room or the person.

A group shows whether the signals bear the trait as it is simulated here. It is not a sample of real people with it.
"""

import colorsys
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import cv2
import numpy as np

from likeness.evaluation.liveness.simulator.appearance import darken_skin, grow_beard, put_on_glasses, put_on_hijab
from likeness.evaluation.liveness.simulator.camera import Optics
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.scene import Lighting
from likeness.evaluation.liveness.simulator.session import NetworkConditions
from likeness.evaluation.liveness.simulator.stage import Stage, draw_background
from likeness.evaluation.liveness.simulator.subject import SimulatedSubject
from likeness.kit.arrays import FloatArray


class LiveGroup(StrEnum):
    """The groups of live people."""

    ROLLING_SHUTTER = "live_rolling_shutter"
    AUTO_EXPOSURE = "live_auto_exposure"
    HDR = "live_hdr"
    BEAUTY_FILTER = "live_beauty_filter"
    DARK_SKIN_COLOURED_LIGHT = "live_dark_skin_coloured_light"
    GLASSES = "live_glasses"
    BEARD = "live_beard"
    HIJAB = "live_hijab"
    MOVING_BACKGROUND = "live_moving_background"
    UNEVEN_FRAMES = "live_uneven_frames"


_APPEARANCES: dict[LiveGroup, Callable[[Portrait, np.random.Generator], Portrait]] = {
    LiveGroup.DARK_SKIN_COLOURED_LIGHT: darken_skin,
    LiveGroup.GLASSES: put_on_glasses,
    LiveGroup.BEARD: grow_beard,
    LiveGroup.HIJAB: put_on_hijab,
}


def seat(group: LiveGroup, portrait: Portrait, chance: np.random.Generator) -> SimulatedSubject:
    """Return a live person of a group before a camera."""
    optics = draw_optics(group, chance)
    stage = Stage(chance, optics)
    if group is LiveGroup.DARK_SKIN_COLOURED_LIGHT:
        stage.lighting = _coloured(stage.lighting, chance)
    if group is LiveGroup.MOVING_BACKGROUND:
        stage.background = MovingBackground(chance, optics).at
    if (appear := _APPEARANCES.get(group)) is not None:
        portrait = appear(portrait, chance)
    return SimulatedSubject(portrait, chance, stage=stage)


def draw_network(group: LiveGroup, chance: np.random.Generator) -> NetworkConditions:
    """Draw the connection of a group. One group has 15 to 30 frames a second, at uneven times."""
    network = NetworkConditions.draw(chance)
    if group is not LiveGroup.UNEVEN_FRAMES:
        return network
    return replace(network, frame_seconds=float(chance.uniform(1 / 30, 1 / 15)), unevenness=0.45)


def draw_optics(group: LiveGroup, chance: np.random.Generator) -> Optics:
    """Draw the camera of a group."""
    optics = Optics.draw(chance)
    match group:
        case LiveGroup.ROLLING_SHUTTER:
            return replace(optics, readout_seconds=float(chance.uniform(0.015, 0.033)))
        case LiveGroup.AUTO_EXPOSURE:
            # It follows the colours within a fraction of a second, in visible steps.
            return replace(
                optics,
                exposure_seconds=float(chance.uniform(0.1, 0.4)),
                exposure_stops=float(chance.uniform(0.1, 0.34)),
                balance=float(chance.uniform(0.3, 0.7)),
                balance_seconds=float(chance.uniform(0.5, 1.5)),
            )
        case LiveGroup.HDR:
            return replace(optics, local_tones=float(chance.uniform(0.25, 0.6)), noise=float(chance.uniform(0.8, 1.8)))
        case LiveGroup.BEAUTY_FILTER:
            return replace(optics, smoothing=float(chance.uniform(0.5, 1.0)))
        case _:
            return optics


class MovingBackground:
    """A room behind a person who walks or is driven, and a passer-by in it."""

    def __init__(self, chance: np.random.Generator, optics: Optics) -> None:
        self._width = optics.width // 2
        wide = draw_background(chance, 3 * optics.width, optics.height)
        self._room = np.asarray(cv2.resize(wide, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
        self._sway_seconds = float(chance.uniform(4.0, 12.0))
        self._phase = float(chance.uniform(0, 2 * np.pi))
        self._passes_in = float(chance.uniform(1.5, 4.0))
        self._colour = chance.uniform(0.02, 0.6, 3).astype(np.float32)
        self._passer = int(self._width * chance.uniform(0.15, 0.4))

    def at(self, at_seconds: float) -> FloatArray:
        """Return the room at a time, as (height / 2, width / 2, 3) linear reflectance."""
        sway = 0.5 + 0.5 * np.sin(2 * np.pi * at_seconds / self._sway_seconds + self._phase)
        left = int(sway * 2 * self._width)
        room = self._room[:, left : left + self._width].copy()
        passed = (at_seconds / self._passes_in) % 2.0 - 0.5
        middle = int(passed * self._width)
        begin, end = max(middle - self._passer // 2, 0), max(middle + self._passer // 2, 0)
        room[len(room) // 5 :, begin:end] = self._colour
        return room


def _coloured(lighting: Lighting, chance: np.random.Generator) -> Lighting:
    """Return the light of a coloured lamp or a sign, as bright as the room's light."""
    colour = np.array(colorsys.hsv_to_rgb(chance.uniform(), chance.uniform(0.3, 0.6), 1.0), np.float32)
    return replace(lighting, room_colour=colour / colour.mean())
