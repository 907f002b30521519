"""Frames of a face in the changing light of a screen, made by hand, for tests of the light's signals."""

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.liveness.attempt.script import draw_colours
from likeness.liveness.base import Colour
from likeness.liveness.frame.observation import LIGHT_SHAPE, LINEAR
from likeness.liveness.signals.light_response import LightSample, Response, respond
from likeness.liveness.thresholds import THRESHOLDS

LIMITS = THRESHOLDS.signals
LAG = 0.21
EVEN = np.ones(LIGHT_SHAPE)


def timeline(seed: int) -> list[tuple[float, Colour | None]]:
    shown, now = [], 10.0
    for one in draw_colours(random.Random(seed)):
        shown.append((now, one.colour))
        now += one.duration_seconds
    return [*shown, (now, None)]


def light_at(
    shown: list[tuple[float, Colour | None]], seconds: np.float64
) -> NDArray[np.float32] | NDArray[np.float64]:
    colour = next((colour for since, colour in reversed(shown) if since <= seconds), None)
    return np.zeros(3) if colour is None else LINEAR[[colour.red, colour.green, colour.blue]]


def film(
    shown: list[tuple[float, Colour | None]],
    places: NDArray[np.float64],
    *,
    face: float = 0.3,
    wall: float = 0.01,
    seed: int = 0,
    noise: float = 0.01,
    gains: bool = True,
) -> list[LightSample]:
    """Return frames of a face before a wall. Each place has the given response, and the camera's gains drift."""
    chance = np.random.default_rng(seed)
    skin = chance.uniform(0.05, 0.3, (*LIGHT_SHAPE, 3))
    behind = chance.uniform(0.1, 0.4, (60, 80, 3))
    beside = np.zeros((60, 80), bool)
    beside[:, :20] = True
    samples = []
    for seconds in np.arange(10.0, shown[-1][0], 0.1):
        screen = light_at(shown, seconds - LAG)
        gain = np.exp(0.05 * np.sin(seconds + np.arange(3))) if gains else np.ones(3)
        seen = skin * (1 + face * places[..., None] * screen) * gain
        seen = seen * np.exp(chance.normal(0, noise, seen.shape)) * np.exp(0.1 * np.sin(3 * seconds))
        surroundings = behind * (1 + wall * screen) * gain
        samples.append(
            LightSample(float(seconds), np.log(seen), (surroundings ** (1 / 2.2) * 255).astype(np.uint8), beside)
        )
    return samples


def answer(
    *,
    places: NDArray[np.float64] = EVEN,
    seed: int = 1,
    announced: list[tuple[float, Colour | None]] | None = None,
    **how: Any,
) -> Response | None:
    shown = timeline(seed)
    return respond(film(shown, places, **how), announced or shown, LIMITS.flash_lag_seconds)
