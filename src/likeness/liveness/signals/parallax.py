"""The parallax signal: when a head comes closer, its nose grows faster than its ears. A sheet of paper does not.

A far and a near face chart are registered point by point (dense inverse search: Kroeger et al., "Fast Optical Flow
using Dense Inverse Search", 2016). The registration of a plane is a homography, and the rest is relief. A sheet that is
bent around a vertical axis also leaves relief. So two models compete to explain the relief: a bent sheet and an average
head. The relief is relative to the effect of one eye distance of depth, so it does not depend on the camera's angle of
view.

The residuals of independent pairs of frames are multiplied, so that their noise averages to zero.
"""

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.frame import chart as charts
from likeness.liveness.frame.chart import Chart, head_depth, relief_texture
from likeness.liveness.thresholds import Signals

Vector = NDArray[np.float64]

_STRIDE = 4
_FOCAL = 0.85
"""Focal length as a fraction of the frame's longer side: about 61 degrees of view, as in an average webcam."""
_FLOOR = 0.004
"""Relief below this is the error of the registration."""
_TOP, _BOTTOM, _LEFT, _RIGHT = 32, 160, 28, 132
"""The part of a chart that is registered: the inner face, with a margin for movement."""


def _grid() -> tuple[NDArray[np.bool_], Vector, Vector]:
    rows, columns = np.mgrid[_TOP:_BOTTOM:_STRIDE, _LEFT:_RIGHT:_STRIDE]
    x = (columns - charts.CENTRE_X) / charts.EYE_DISTANCE
    y = (rows - charts.EYE_LINE) / charts.EYE_DISTANCE
    inside = (x / 0.72) ** 2 + ((y - 0.42) / 0.9) ** 2 < 1
    return inside, x[inside], y[inside]


_INSIDE, _X, _Y = _grid()
_ZERO, _ONE = np.zeros_like(_X), np.ones_like(_X)


def _moved(depth: Vector) -> list[Vector]:
    """Return the flows from ``depth`` under motion towards the camera, sideways and vertically, to first order."""
    return [
        np.concatenate([depth * _X, depth * _Y]),
        np.concatenate([depth, _ZERO]),
        np.concatenate([_ZERO, depth]),
    ]


_HOMOGRAPHY = [
    *(np.concatenate([one, _ZERO]) for one in (_ONE, _X, _Y)),
    *(np.concatenate([_ZERO, one]) for one in (_ONE, _X, _Y)),
    np.concatenate([_X * _X, _X * _Y]),
    np.concatenate([_X * _Y, _Y * _Y]),
]


def _model(*flows: Vector) -> Vector:
    """Return an orthonormal basis of a homography's flows and these flows, (2n, k).

    Orthonormal columns keep least squares exact.
    """
    return np.asarray(np.linalg.qr(np.stack([*_HOMOGRAPHY, *flows], axis=1))[0])


_PLANE = _model()
_SHEET = _model(*_moved(_X**2), *_moved(_X**3), *_moved(_X**4))
_HEAD = _model(*_moved(head_depth(_X, _Y)))


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """The comparison of one far and one near chart.

    It has each model's residual at each place (2n,), and the confidence in it.
    """

    plane: Vector
    sheet: Vector
    head: Vector
    trust: Vector


@dataclass(frozen=True, slots=True)
class Relief:
    """The common part of several registrations: the residual of each model, in eye distances of depth."""

    plane: float
    sheet: float
    head: float

    @property
    def score(self) -> float:
        """The relief, multiplied by how much better a head explains it than a bent sheet."""
        return float(np.sqrt(max(self.plane, _FLOOR)) * max(self.sheet, _FLOOR) / max(self.head, _FLOOR))


def register(far: Chart, near: Chart, frame_size: tuple[int, int]) -> Registration | None:
    """Compare two charts of one face. Return None unless the face came clearly closer. This takes about 20 ms."""
    grown = far.eye_distance_pixels / near.eye_distance_pixels
    expected = near.eye_distance_pixels / (_FOCAL * max(frame_size)) * (1 - grown)
    if expected < 0.02:
        return None
    first, second = (relief_texture(chart)[_TOP:_BOTTOM, _LEFT:_RIGHT].copy() for chart in (far, near))
    search = _search()
    flow = search.calc(first, second, None)  # type: ignore[call-overload]
    back = search.calc(second, first, None)  # type: ignore[call-overload]
    seen = flow[::_STRIDE, ::_STRIDE][_INSIDE].astype(np.float64)
    trust = np.tile(_texture(first) * _agreement(seen, back), 2)
    shift = np.concatenate([seen[:, 0], seen[:, 1]]) / charts.EYE_DISTANCE
    plane, sheet, head = (_unexplained(model, shift, trust) / expected for model in (_PLANE, _SHEET, _HEAD))
    return Registration(plane, sheet, head, trust)


def measure_relief(registrations: list[Registration]) -> Relief | None:
    """Return the relief that is common to the registrations, or None if there are fewer than two."""
    if len(registrations) < 2:
        return None

    def shared(model: str) -> float:
        total = weights = 0.0
        for one, other in combinations(registrations, 2):
            trust = one.trust * other.trust
            total += float((trust * getattr(one, model) * getattr(other, model)).sum())
            weights += float(trust.sum())
        return float(np.sqrt(max(total / max(weights, 1e-9), 0.0)))

    return Relief(shared("plane"), shared("sheet"), shared("head"))


def judge(relief: Relief | None, limits: Signals) -> SignalResult:
    """Judge the parallax signal; a ``relief`` of None does not pass."""
    threshold = limits.parallax
    if relief is None:
        return SignalResult(
            SignalName.PARALLAX, 0.0, threshold, passed=False, reason="the frames did not show the face far and near"
        )
    passed = relief.score >= threshold
    if passed:
        reason = "coming closer showed the relief of a head"
    elif relief.plane < 3 * _FLOOR:
        reason = "coming closer showed a flat surface"
    else:
        reason = "coming closer did not show the relief of a head"
    return SignalResult(SignalName.PARALLAX, relief.score, threshold, passed=passed, reason=reason)


def _search() -> cv2.DISOpticalFlow:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setPatchSize(8)
    search.setPatchStride(3)
    search.setGradientDescentIterations(30)
    search.setVariationalRefinementIterations(5)
    return search


def _texture(image: NDArray[np.uint8]) -> Vector:
    """Return the confidence in each place from its texture, 0..1.

    It grows with the smaller eigenvalue of the structure tensor (Shi and Tomasi, 1994).
    """
    across = cv2.Sobel(image, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(image, cv2.CV_32F, 0, 1)
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), 4) for product in (across * across, across * down, down * down))
    smaller = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)
    values = smaller[::_STRIDE, ::_STRIDE][_INSIDE].astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(values, 0) / (np.maximum(values, 0) + 1500)))


def _agreement(flow: Vector, back: NDArray[np.float32]) -> Vector:
    """Return the confidence in each place from the agreement of the flows there and back, 0..1."""
    rows, columns = np.nonzero(_INSIDE)
    x = (columns * _STRIDE + flow[:, 0]).astype(np.float32)[:, None]
    y = (rows * _STRIDE + flow[:, 1]).astype(np.float32)[:, None]
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    return np.asarray(1 / (1 + ((returned + flow) ** 2).sum(axis=1)))


def _unexplained(model: Vector, shift: Vector, trust: Vector) -> Vector:
    # The normal equations have a few columns only. The full problem would start all BLAS threads for little work.
    weighted = model.T * trust**2
    return np.asarray(shift - model @ np.linalg.lstsq(weighted @ model, weighted @ shift, rcond=None)[0])
