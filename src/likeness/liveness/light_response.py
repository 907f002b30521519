"""The screen's colours, sought again in the camera's pictures: what the flash and the shading signals are both made of.

A camera multiplies linear light by gains that drift (exposure, white balance). The logarithm of the face's light minus that
of the background's is free of them, and so is the skin's own colour once its mean over time is taken away. What stays is the
screen: log(1 + response · colour). The response of a single place on the face tells how it lies to the screen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.liveness.base import Colour
from likeness.liveness.observation import LINEAR, FaceView

Array = NDArray[np.float32]

_SKIN = slice(6, 20), slice(4, 16)
"""Rows and columns of ``FaceView.light`` from brows to mouth, cheek to cheek."""
_LAG_STEP = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One frame during the colours: (24, 20, 3) log light of the face, its mean over the skin beyond the background's (3,)."""

    at_seconds: float
    places: Array
    skin: Array
    background: Array


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """How the face answered."""

    correlation: float
    """Between what was shown and what came back over all frames and channels, at the best lag; -1..1."""
    response: float
    """Relative brightening of the skin for the screen's full light, beyond the background's."""
    lag_seconds: float
    places: Array
    """(24, 20) response of each place of the chart."""
    noise: Array
    """(24, 20) standard error of it."""


def sample(face: FaceView, at_seconds: float) -> Sample | None:
    """Take one frame's light; None when no background is seen to hold the face against."""
    if face.background is None:
        return None
    background = np.log(face.background)
    places = np.log(face.light)
    return Sample(at_seconds, places, places[_SKIN].mean(axis=(0, 1)) - background, background)


def respond(
    samples: list[Sample], shown: list[tuple[float, Colour | None]], lags_seconds: tuple[float, float]
) -> Response | None:
    """Find the lag at which the samples follow the colours best.

    ``shown``: since when the page was told which colour, in order. None when there are too few samples to say.
    """
    if len(samples) < 12:
        return None
    times = np.array([one.at_seconds for one in samples])
    skin = _settle(np.stack([one.skin for one in samples]), times)
    strength = float(np.sqrt((skin**2).sum()))
    best = (-2.0, 0.0, skin)
    for lag in np.arange(*lags_seconds, _LAG_STEP):
        colours = _settle(_shown_at(times - lag, shown), times)
        size = float(np.sqrt((colours**2).sum()))
        if size > 0 and strength > 0:
            best = max(
                best, (float((skin * colours).sum()) / (strength * size), float(lag), colours), key=lambda it: it[0]
            )
    correlation, lag, colours = best
    power = float((colours**2).sum())
    if power == 0:
        return None
    places = np.stack([one.places - one.background for one in samples])
    settled = _settle(places.reshape(len(samples), -1, 3), times)
    response = np.einsum("tpc,tc->p", settled, colours) / power
    left = settled - response[None, :, None] * colours[:, None, :]
    noise = np.sqrt((left**2).sum(axis=(0, 2)) / (3 * len(samples) * power))
    shape = places.shape[1:3]
    return Response(
        correlation,
        float((skin * colours).sum()) / power,
        lag,
        response.reshape(shape).astype(np.float32),
        noise.reshape(shape).astype(np.float32),
    )


def _shown_at(times: NDArray[np.float64], shown: list[tuple[float, Colour | None]]) -> NDArray[np.float64]:
    """Give the linear colour on the screen at each time: (t, 3)."""
    light = np.stack(
        [
            np.zeros(3) if colour is None else LINEAR[[colour.red, colour.green, colour.blue]].astype(np.float64)
            for _, colour in shown
        ]
    )
    since = np.array([start for start, _ in shown])
    return np.asarray(light[np.clip(np.searchsorted(since, times, side="right") - 1, 0, len(shown) - 1)])


def _settle(series: NDArray[np.floating[Any]], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave of a (t, ..., 3) series what changes in hue: brightness, mean and linear drift are taken out.

    Brightness changes with every movement of the head; hue changes with the light alone.
    """
    series = series - series.mean(axis=-1, keepdims=True)
    basis = np.stack([np.ones_like(times), times - times.mean()], axis=1)
    flat = series.reshape(len(times), -1).astype(np.float64)
    flat = flat - basis @ np.linalg.lstsq(basis, flat, rcond=None)[0]
    return np.asarray(flat.reshape(series.shape))
