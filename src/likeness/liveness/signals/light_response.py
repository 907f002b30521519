"""The response of the face to the screen's colours, which the flash and shading signals both use.

A camera multiplies linear light by gains that drift (exposure, white balance). The logarithm of the face's light minus
that of the background's light does not depend on them. Without its mean over time, it does not depend on the skin's
colour either. The rest is the screen's light: log(1 + response · colour). The response of a place on the face depends
on its orientation to the screen.
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
"""Rows and columns of ``FaceView.light`` from the brows to the mouth and from cheek to cheek."""
_LAG_STEP = 0.03
_LEAST_SAMPLES = 16
_LEAST_BACKGROUND = 0.01
"""The least fraction of background in all pixels of all frames."""
_MOVED = 0.05
"""The least difference of a pixel's change from the usual one that shows something moved, in log light."""


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
    """The response of the face to the colours."""

    correlation: float
    """The correlation of the shown colours and the skin's light over all frames and channels, at the best lag; -1..1.
    """
    response: float
    """Relative brightening of the skin for the screen's full light, minus that of the background."""
    lag_seconds: float
    halves: tuple[FloatArray, FloatArray]
    """The (24, 20) responses of the chart's places, from the even and the odd frames. Their noise is independent."""


def sample(face: FaceView, at_seconds: float) -> LightSample:
    """Return the light of one frame."""
    return LightSample(at_seconds, np.log(face.light), face.surroundings, face.beside)


def respond(
    samples: list[LightSample], shown: list[tuple[float, Colour | None]], lags_seconds: tuple[float, float]
) -> Response | None:
    """Compute the response at the lag where the samples follow the colours best.

    ``shown`` has the colours in order, each with the time of its start. Return None if there are too few samples or too
    little background.
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
    """Return the log of the light beside the head, (t, 3), less that of the first frame.

    Return None if there is too little background. Each pixel is compared with itself in the frame before. Otherwise a
    moving head would tint the background, because it covers parts of it. Where the room itself moves, the pixel changes
    by more than a camera's gains, and does not count.
    """
    if not samples or len({one.beside.shape for one in samples}) > 1:
        return None
    light = np.log(LINEAR[np.stack([one.surroundings for one in samples])].astype(np.float64))
    seen = np.stack([one.beside for one in samples])
    both = seen[1:] & seen[:-1]
    if both.sum() < _LEAST_BACKGROUND * both.size or not both.any(axis=(1, 2)).all():
        return None
    level = np.zeros((len(samples), 3))
    for frame, pixels in enumerate(both):
        change = light[frame + 1][pixels] - light[frame][pixels]
        usual = np.median(change, axis=0)
        still = (np.abs(change - usual) < _MOVED).all(axis=1)
        # The median alone would hide a change that is smaller than the step between two bytes.
        level[frame + 1] = level[frame] + (change[still].mean(axis=0) if still.any() else usual)
    return level


def _answers(places: NDArray[np.float64], colours: NDArray[np.float64], times: NDArray[np.float64]) -> FloatArray:
    """Return each place's response to the colours, in least squares."""
    smooth = _smooth(places.reshape(len(times), -1, 3), times)
    colours = _smooth(colours, times)
    answers = np.einsum("tpc,tc->p", smooth, colours) / (colours**2).sum()
    return np.asarray(answers.reshape(places.shape[1:3]), np.float32)


def _shown_at(times: NDArray[np.float64], shown: list[tuple[float, Colour | None]]) -> NDArray[np.float64]:
    """Return the linear colour on the screen at each time, (t, 3)."""
    light = np.stack(
        [
            np.zeros(3) if colour is None else LINEAR[[colour.red, colour.green, colour.blue]].astype(np.float64)
            for _, colour in shown
        ]
    )
    since = np.array([start for start, _ in shown])
    return np.asarray(light[np.clip(np.searchsorted(since, times, side="right") - 1, 0, len(shown) - 1)])


def _smooth(series: NDArray[np.floating[Any]], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the changes of hue in a (t, ..., 3) series, without brightness, mean and linear drift.

    Brightness changes with every movement of the head, but hue changes only with the light.
    """
    hue = series - series.mean(axis=-1, keepdims=True, dtype=np.float64)
    hue -= hue.mean(axis=0)
    since = (times - times.mean()).reshape(-1, *(1,) * (series.ndim - 1))
    return np.asarray(hue - since * ((since * hue).sum(axis=0) / (since**2).sum()))
