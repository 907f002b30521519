"""The screen's light falls on the face as on a head: strong on the nose and the front of the cheeks, weak towards the sides.

The answer of each place to the colours is free of the skin's own colour, so a picture of a face, however well it is tinted,
answers evenly. The map of answers is compared with that of a mean head lit from the front.
"""

import numpy as np
from numpy.typing import NDArray

from likeness.liveness import chart as charts
from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.light_response import Response
from likeness.liveness.observation import LIGHT_SHAPE
from likeness.liveness.thresholds import Signals

Array = NDArray[np.float64]

_DISTANCE = 4.2
"""Of a face in the near oval from the camera, in eye distances."""


def _grid() -> tuple[Array, Array]:
    rows, columns = np.mgrid[0 : LIGHT_SHAPE[0], 0 : LIGHT_SHAPE[1]] + 0.5
    x = (columns * charts.WIDTH / LIGHT_SHAPE[1] - charts.CENTRE_X) / charts.EYE_DISTANCE
    y = (rows * charts.HEIGHT / LIGHT_SHAPE[0] - charts.EYE_LINE) / charts.EYE_DISTANCE
    return x, y


def _mean_head() -> Array:
    """Light from the camera's place on a mean head, by Lambert's law and the square of the distance."""
    x, y = _grid()
    step = 0.025
    slope_x = (charts.head_depth(x + step, y) - charts.head_depth(x - step, y)) / (2 * step)
    slope_y = (charts.head_depth(x, y + step) - charts.head_depth(x, y - step)) / (2 * step)
    nearer = charts.head_depth(x, y) - 1.5
    return np.asarray((_DISTANCE / (_DISTANCE - nearer)) ** 2 / np.sqrt(1 + slope_x**2 + slope_y**2))


_X, _Y = _grid()
_FACE = (_X / 0.95) ** 2 + ((_Y - 0.4) / 1.1) ** 2 < 1
_EVEN = np.stack([np.ones_like(_X), _X, _Y], axis=-1)[_FACE]
_HEAD = _mean_head()[_FACE]


def measure(response: Response) -> float:
    """Give how much of a mean head's shading the answers show: 1 as much, 0 none."""
    answers, noise = response.places[_FACE].astype(np.float64), response.noise[_FACE].astype(np.float64)
    typical = float(np.median(answers))
    if typical <= 0:
        return 0.0
    trust = 1 / (noise / typical + 0.05)
    model = np.column_stack([_EVEN, _HEAD])
    fitted = np.linalg.lstsq(model * trust[:, None], answers / typical * trust, rcond=None)[0]
    return float(fitted[-1])


def judge(response: Response | None, limits: Signals) -> SignalResult:
    """Score: see :func:`measure`."""
    threshold = limits.shading
    score = measure(response) if response is not None else 0.0
    passed = score >= threshold
    reason = (
        "the colours fell on the face as on a head" if passed else "the colours did not fall on the face as on a head"
    )
    return SignalResult(SignalName.SHADING, score, threshold, passed=passed, reason=reason)
