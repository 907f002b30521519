"""The shading signal: the screen's light on the face has the shading of a head.

The light differs on the nose and beside it, and it is weak towards the sides, the brow and the chin.

The response of each place does not depend on the skin's colour. So a flat picture of a face responds evenly, even if it
is tinted. A bent picture responds with a smooth change along one direction. The signal removes all that such sheets can
show. The rest must follow from a head's normals by Lambert's law, for any direction of the screen and of the room's
light.

Two halves of the frames measure it independently. Only their common part counts, so noise does not.
"""

import numpy as np

from likeness.kit.arrays import DoubleArray
from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.frame import chart as charts
from likeness.liveness.frame.observation import LIGHT_SHAPE
from likeness.liveness.signals.light_response import Response
from likeness.liveness.thresholds import Signals


def _grid() -> tuple[DoubleArray, DoubleArray]:
    rows, columns = np.mgrid[0 : LIGHT_SHAPE[0], 0 : LIGHT_SHAPE[1]] + 0.5
    x = (columns * charts.WIDTH / LIGHT_SHAPE[1] - charts.CENTRE_X) / charts.EYE_DISTANCE
    y = (rows * charts.HEIGHT / LIGHT_SHAPE[0] - charts.EYE_LINE) / charts.EYE_DISTANCE
    return x, y


def _normals(x: DoubleArray, y: DoubleArray) -> DoubleArray:
    """Return an average head's unit normals, (..., 3)."""
    step = 0.025
    slope_x = (charts.head_depth(x + step, y) - charts.head_depth(x - step, y)) / (2 * step)
    slope_y = (charts.head_depth(x, y + step) - charts.head_depth(x, y - step)) / (2 * step)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=-1)
    return np.asarray(normals / np.linalg.norm(normals, axis=-1, keepdims=True))


_ALL_X, _ALL_Y = _grid()
_FACE = (_ALL_X / 0.85) ** 2 + (_ALL_Y - 0.4) ** 2 < 1
_X, _Y = _ALL_X[_FACE], _ALL_Y[_FACE]
_SHEET = np.stack([np.ones_like(_X), _X, _Y, _X**2, _X**3, _X**4, _X * _Y, _Y**2], axis=1)
"""A basis of the responses of a flat or bent sheet. It includes the fall of near light with the square of the distance.
"""
_HEAD = _normals(_X, _Y)


def measure_shading(response: Response) -> float:
    """Return the size of a head's shading in the responses, as a fraction of the median response."""
    halves = [half[_FACE].astype(np.float64) for half in response.halves]
    typical = float(np.median(halves[0] + halves[1])) / 2
    if typical <= 0:
        return 0.0
    left = np.stack([half - _fit(_SHEET, half) for half in halves], axis=1) / typical
    head = _HEAD - _fit(_SHEET, _HEAD)
    explained = _fit(head, left)
    shared = float((explained[:, 0] * explained[:, 1]).mean())
    return float(np.sqrt(max(shared, 0.0)))


def _fit(model: DoubleArray, values: DoubleArray) -> DoubleArray:
    return np.asarray(model @ np.linalg.lstsq(model, values, rcond=None)[0])


def judge(response: Response | None, limits: Signals) -> SignalResult:
    """Judge the shading signal. The score is that of :func:`measure_shading`, or 0 for a glint."""
    score = measure_shading(response) if response is not None else 0.0
    if score > limits.shading_most:
        score, reason = 0.0, "the colours were reflected as a glint, as by glass"
    elif score < limits.shading:
        reason = "the colours did not show the shading of a head"
    else:
        reason = "the colours showed the shading of a head"
    return SignalResult(SignalName.SHADING, score, limits.shading, passed=score >= limits.shading, reason=reason)
