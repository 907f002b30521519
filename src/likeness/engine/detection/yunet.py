"""YuNet: a small anchor-free network that detects faces of about 10 to 300 pixels.

The landmarks determine how well a face is recognised. They come from MTCNN's output network, which processes each face
alone. On the photos of the packs' measurements, this halves the false non-matches compared with YuNet's landmarks.

Source: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023; the ONNX model of the OpenCV Zoo.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection, Image
from likeness.engine.detection import Look, Trace
from likeness.engine.detection.locator import BoxRows, LandmarkLocator
from likeness.engine.detection.work import Work
from likeness.engine.photo.resampling import shrink
from likeness.engine.runtime import Network

STRIDES = (8, 16, 32)
_GRID = 32
_SMALLEST_SEEN = 20
"""Pixels that the smallest wanted face has in the network's input."""
_FOUND = 0.6
_OVERLAP = 0.3
_CELLS_MAX, _FACES_MAX = 2000, 300
"""The most cells and faces of one look. A picture tiled with faces could give many thousands."""
_LOCATED_PIXELS = 11_000
"""The work of locating the landmarks of one face."""
_LOCATED_MIN = 8
"""Faces that are located even if little work is left."""
_BELIEVED = 0.25
"""The least product of the two networks' confidences. In the 7,171 photos of the packs' measurements, no face is below
0.53."""
_TRACED, _TRACES_MAX = 0.03, 16
"""The least score of a trace, and the most traces of one look."""


class YuNet:
    """The detector of the module's docstring. Thread-safe."""

    convincing = 0.9
    credible = 0.5
    finest = 16.0

    def __init__(self, network: Network, locator: LandmarkLocator) -> None:
        self._network, self._locator = network, locator

    def look(self, image: Image, *, smallest: float, work: Work, traces: bool = False) -> Look:
        """Look as the protocol says. Where work is short, the largest faces are located."""
        area = image.shape[0] * image.shape[1]
        small = shrink(image, min(_SMALLEST_SEEN / smallest, math.sqrt(work.left / area), 1.0))
        height, width = small.shape[:2]
        padded = np.zeros((1, -(-height // _GRID) * _GRID, -(-width // _GRID) * _GRID, 3), np.uint8)
        padded[0, :height, :width] = small
        work.spend(height * width)
        boxes, scores = _decode(self._network.run(pixels=padded), padded.shape[2], _TRACED if traces else _FOUND)
        boxes *= np.tile(np.array([image.shape[1] / width, image.shape[0] / height], np.float32), 2)
        found = scores >= _FOUND
        faces = self._located(image, boxes[found], scores[found], work)
        return Look(faces, [_trace(*row) for row in zip(boxes[~found], scores[~found], strict=True)][:_TRACES_MAX])

    def _located(self, image: Image, boxes: BoxRows, scores: NDArray[np.float32], work: Work) -> list[Detection]:
        if not scores.size:
            return []
        most = max(int(work.left / 2 / _LOCATED_PIXELS), _LOCATED_MIN)
        largest = np.argsort(boxes[:, 0] - boxes[:, 2], kind="stable")[:most]
        boxes, scores = boxes[largest], scores[largest]
        work.spend(len(boxes) * _LOCATED_PIXELS)
        located = self._locator.locate(image, boxes)
        # Both networks must find an upright face.
        confidences = scores * located.scores
        return [
            Detection(_box(corners), landmarks, float(confidence))
            for corners, landmarks, confidence in zip(boxes, located.landmarks, confidences, strict=True)
            if confidence > _BELIEVED
        ]


def _trace(corners: NDArray[np.float32], score: np.float32) -> Trace:
    return Trace(_box(corners), float(score))


def _box(corners: NDArray[np.float32]) -> Box:
    left, top, right, bottom = corners.tolist()
    return Box(left, top, right - left, bottom - top)


def _decode(answer: dict[str, NDArray[np.float32]], width: int, least: float) -> tuple[BoxRows, NDArray[np.float32]]:
    """Return boxes and scores of at least ``least`` in the network's pixels, best first.

    Each cell of three grids says how far its face's middle lies, and how big it is.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        believed = answer[f"cls_{stride}"][0, :, 0].clip(0, 1) * answer[f"obj_{stride}"][0, :, 0].clip(0, 1)
        (good,) = np.nonzero(believed > least**2)
        cells = np.stack(np.divmod(good, width // stride)[::-1], axis=1).astype(np.float32)
        region = answer[f"bbox_{stride}"][0, good]
        centres, halves = (cells + region[:, :2]) * stride, np.exp(region[:, 2:]) * stride / 2
        boxes.append(np.hstack([centres - halves, centres + halves]))
        scores.append(np.sqrt(believed[good]))
    merged, confidences = np.concatenate(boxes), np.concatenate(scores)
    if not confidences.size:
        return merged, confidences
    # Of boxes that overlap too much, the best one is kept (non-maximum suppression).
    places = np.hstack([merged[:, :2], merged[:, 2:] - merged[:, :2]]).astype(np.float64)
    kept: Any = cv2.dnn.NMSBoxes(places, confidences, 0.0, _OVERLAP, top_k=_CELLS_MAX)  # type: ignore[arg-type]
    return merged[kept[:_FACES_MAX]], confidences[kept[:_FACES_MAX]]
