"""The screen's colours, sought again in the camera's pictures: what the flash and the shading signals are both made of.

A camera multiplies linear light by gains that drift (exposure, white balance). The logarithm of the face's light minus
that of the background's is free of them, and so is the skin's own colour once its mean over time is taken away. What
stays is the screen: log(1 + response · colour). The response of a single place on the face tells how it lies to the
screen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image
from likeness.kit.arrays import FloatArray
from likeness.liveness.base import Colour
from likeness.liveness.frame.observation import LINEAR, FaceView

_SKIN = slice(6, 20), slice(4, 16)
"""Rows and columns of ``FaceView.light`` from brows to mouth, cheek to cheek."""
_LAG_STEP = 0.03
_LEAST_SAMPLES = 16
_OFTEN_SEEN = 0.6
"""Fraction of the frames in which a pixel must show the background to be used."""
_LEAST_BACKGROUND = 0.01
"""Fraction of all pixels of all frames that must be such background."""


@dataclass(frozen=True, slots=True, eq=False)
class LightSample:
    """One frame during the colours."""

    at_seconds: float
    places: FloatArray
    """(24, 20, 3) log light of the face."""
    surroundings: Image
    beside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """How the face answered."""

    correlation: float
    """Between what was shown and what came back over all frames and channels, at the best lag; -1..1."""
    response: float
    """Relative brightening of the skin for the screen's full light, beyond the background's."""
    lag_seconds: float
    halves: tuple[FloatArray, FloatArray]
    """(24, 20) response of each place of the chart, from every other frame: two measurements with independent noise."""


def sample(face: FaceView, at_seconds: float) -> LightSample:
    """Take one frame's light."""
    return LightSample(at_seconds, np.log(face.light), face.surroundings, face.beside)


def respond(
    samples: list[LightSample], shown: list[tuple[float, Colour | None]], lags_seconds: tuple[float, float]
) -> Response | None:
    """Find the lag at which the samples follow the colours best.

    ``shown``: since when the page was told which colour, in order. None when there are too few samples to say, or no
    background to hold the face against.
    """
    background = _background(samples)
    if len(samples) < _LEAST_SAMPLES or background is None:
        return None
    times = np.array([one.at_seconds for one in samples])
    places = np.stack([one.places for one in samples]) - background[:, None, None, :]
    skin = _smooth(places[:, *_SKIN].mean(axis=(1, 2)), times)
    strength = float(np.sqrt((skin**2).sum()))
    correlation, lag = -1.0, 0.0
    for candidate in np.arange(*lags_seconds, _LAG_STEP):
        colours = _smooth(_shown_at(times - candidate, shown), times)
        size = float(np.sqrt((colours**2).sum())) * strength
        if size > 0 and (agreement := float((skin * colours).sum()) / size) > correlation:
            correlation, lag = agreement, float(candidate)
    if correlation <= 0:
        return Response(correlation, 0.0, lag, (np.zeros(places.shape[1:3], np.float32),) * 2)
    colours = _smooth(_shown_at(times - lag, shown), times)
    return Response(
        correlation,
        float((skin * colours).sum() / (colours**2).sum()),
        lag,
        (_answers(places[::2], colours[::2], times[::2]), _answers(places[1::2], colours[1::2], times[1::2])),
    )


def _background(samples: list[LightSample]) -> NDArray[np.float64] | None:
    """Give how the log of the light beside the head changes, (t, 3).

    Each pixel is held against its own mean over time: else a head that moves would tint the background by covering
    parts of it.
    """
    if not samples or len({one.beside.shape for one in samples}) > 1:
        return None
    beside = np.stack([one.beside for one in samples])
    often = beside.mean(axis=0) > _OFTEN_SEEN
    seen = beside[:, often]
    if seen.sum() < _LEAST_BACKGROUND * beside.size or not seen.any(axis=1).all():
        return None
    light = np.log(LINEAR[np.stack([one.surroundings[often] for one in samples])].astype(np.float64))
    weight = seen[..., None].astype(np.float64)
    change = light - (light * weight).sum(axis=0) / weight.sum(axis=0)
    return np.asarray((change * weight).sum(axis=1) / weight.sum(axis=1))


def _answers(places: NDArray[np.float64], colours: NDArray[np.float64], times: NDArray[np.float64]) -> FloatArray:
    """Give each place's response to the colours, in least squares."""
    smooth = _smooth(places.reshape(len(times), -1, 3), times)
    colours = _smooth(colours, times)
    answers = np.einsum("tpc,tc->p", smooth, colours) / (colours**2).sum()
    return np.asarray(answers.reshape(places.shape[1:3]), np.float32)


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


def _smooth(series: NDArray[np.floating[Any]], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave of a (t, ..., 3) series what changes in hue: brightness, mean and linear drift are taken out.

    Brightness changes with every movement of the head; hue changes with the light alone.
    """
    hue = series - series.mean(axis=-1, keepdims=True, dtype=np.float64)
    hue -= hue.mean(axis=0)
    since = (times - times.mean()).reshape(-1, *(1,) * (series.ndim - 1))
    return np.asarray(hue - since * ((since * hue).sum(axis=0) / (since**2).sum()))
