"""MTCNN's output network alone: it places five landmarks on a face, and tells an upright face from others.

Source: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Image
from likeness.engine.photo.resampling import warp
from likeness.engine.runtime import Network

BoxRows = NDArray[np.float32]
"""Boxes as rows of (left, top, right, bottom)."""
_SIDE = 48
"""The side of the network's input, in pixels."""
_AT_ONCE = 8
"""Faces of one run. The intermediate results of more faces do not fit in the cache of a core."""
_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class Located:
    """The network's results for n boxes: landmarks (n, 5, 2) and face probabilities (n,)."""

    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


class LandmarkLocator:
    """Finds the five landmarks of a face in a known box. Thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def locate(self, image: Image, boxes: BoxRows) -> Located:
        """Run the network on each box (n, 4), widened to a square."""
        boxes = _squares(boxes)
        crops = np.empty((len(boxes), _SIDE, _SIDE, 3), np.uint8)
        for crop, matrix in zip(crops, _to_crops(boxes), strict=True):
            warp(image, matrix, crop, border=_GREY)
        runs = [self._network.run(pixels=crops[start : start + _AT_ONCE]) for start in range(0, len(crops), _AT_ONCE)]
        points = np.concatenate([run["landmarks"] for run in runs]).reshape(-1, 2, 5).transpose(0, 2, 1)
        sides = boxes[:, 2:] - boxes[:, :2]
        # The network counts from a pixel's edge, but landmarks are pixel indices.
        landmarks = boxes[:, None, :2] + points * sides[:, None] - np.float32(0.5)
        return Located(landmarks, np.concatenate([run["faces"][:, 0] for run in runs]))


def _squares(boxes: BoxRows) -> BoxRows:
    """Widen each box to a square with the same centre."""
    centres, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([centres - half, centres + half])


def _to_crops(boxes: BoxRows) -> NDArray[np.float64]:
    """Return for each square box the (2, 3) matrix from the image to the network's input."""
    matrices = np.zeros((len(boxes), 2, 3))
    scale = _SIDE / np.maximum(boxes[:, 2] - boxes[:, 0], np.float32(1e-3)).astype(np.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = (0.5 - boxes[:, :2]) * scale[:, None] - 0.5
    return matrices
