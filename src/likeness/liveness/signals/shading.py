"""The screen's light falls on the face as on a head.

It differs on the nose and beside it, and is weak towards the sides, the brow, the chin.

How strongly each place answers the colours is free of the skin's own colour, so a picture of a face, however well it is
tinted, answers evenly, and a bent one with a smooth change along one direction. What is left when all that such sheets
can show is taken away must be what a head's normals make: they enter by Lambert's law, from wherever the screen and the
room's light come.

Two halves of the frames measure it independently, and only what they share counts: noise does not.
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
    """Give a mean head's unit normals, (..., 3)."""
    step = 0.025
    slope_x = (charts.head_depth(x + step, y) - charts.head_depth(x - step, y)) / (2 * step)
    slope_y = (charts.head_depth(x, y + step) - charts.head_depth(x, y - step)) / (2 * step)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=-1)
    return np.asarray(normals / np.linalg.norm(normals, axis=-1, keepdims=True))


_ALL_X, _ALL_Y = _grid()
_FACE = (_ALL_X / 0.85) ** 2 + (_ALL_Y - 0.4) ** 2 < 1
_X, _Y = _ALL_X[_FACE], _ALL_Y[_FACE]
_SHEET = np.stack([np.ones_like(_X), _X, _Y, _X**2, _X**3, _X**4, _X * _Y, _Y**2], axis=1)
"""What the answers of a flat or bent sheet lie in: light from near by falls off with the square of the distance, too.
"""
_HEAD = _normals(_X, _Y)


def measure_shading(response: Response) -> float:
    """Give the size of the head's own shading in the answers, as a fraction of the typical answer."""
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
    """Score: see :func:`measure_shading`; a glint counts as none."""
    score = measure_shading(response) if response is not None else 0.0
    if score > limits.shading_most:
        score, reason = 0.0, "the colours came back as a glint, as from glass"
    elif score < limits.shading:
        reason = "the colours did not fall on the face as on a head"
    else:
        reason = "the colours fell on the face as on a head"
    return SignalResult(SignalName.SHADING, score, limits.shading, passed=score >= limits.shading, reason=reason)
