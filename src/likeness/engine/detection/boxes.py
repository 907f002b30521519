"""Boxes as rows of (left, top, right, bottom), and the operations of detectors on them."""

import numpy as np
from numpy.typing import NDArray

BoxRows = NDArray[np.float32]


def strongest(scores: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Give the rows of the highest scores, at most ``most`` of them, in no order."""
    if scores.size <= most:
        return np.arange(scores.size)
    return np.argpartition(-scores, most)[:most]


def suppress(
    boxes: BoxRows, scores: NDArray[np.float32], limit: float, *, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Return the rows that no better row overlaps by more than ``limit``, best first (non-maximum suppression).

    The overlap of two boxes is their intersection divided by their union, or by the smaller of the two boxes.
    """
    order = np.argsort(-scores, kind="stable")
    hidden = np.zeros(len(order), bool)
    clashes = _overlaps(boxes[order], of_smaller=of_smaller) > limit
    for index in range(len(order)):
        if not hidden[index]:
            hidden[index + 1 :] |= clashes[index, index + 1 :]
    return order[~hidden]


def _overlaps(boxes: BoxRows, *, of_smaller: bool) -> NDArray[np.float32]:
    left, top, right, bottom = boxes.T[:, :, None]
    width = np.minimum(right, right.T) - np.maximum(left, left.T)
    height = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    common = width.clip(0) * height.clip(0)
    area = (right - left) * (bottom - top)
    whole = np.minimum(area, area.T) if of_smaller else area + area.T - common
    return np.asarray(common / np.maximum(whole, 1e-6), np.float32)


def squares(boxes: BoxRows) -> BoxRows:
    """Widen each box to a square with the same centre."""
    centres, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([centres - half, centres + half])
