"""Rows of (left, top, right, bottom) and what detectors do with them."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def overlaps(box: Rows, boxes: Rows, *, of_smaller: bool = False) -> NDArray[np.float32]:
    """Give the intersection of one box with each of many, over their union or over the smaller of the two."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.clip(sides, 0, None).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    whole = np.minimum(area, areas) if of_smaller else area + areas - common
    return np.asarray(common / np.maximum(whole, 1e-6), np.float32)


def suppress(boxes: Rows, scores: NDArray[np.float32], limit: float, *, of_smaller: bool = False) -> NDArray[np.intp]:
    """Non-maximum suppression: give the rows that no better row overlaps by more than ``limit``, best first."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best], boxes[order], of_smaller=of_smaller) <= limit]
    return np.array(kept, np.intp)


def squares(boxes: Rows) -> Rows:
    """Widen each box about its centre to a square."""
    centres, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([centres - half, centres + half])
