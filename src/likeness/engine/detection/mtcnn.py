"""MTCNN: three networks in a cascade, from a sliding window to five landmarks.

Source: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection, Image
from likeness.engine.detection.boxes import BoxRows, squares, strongest, suppress
from likeness.engine.detection.mosaic import mosaic
from likeness.engine.photo.resampling import shrink, warp
from likeness.engine.runtime import Network

_WINDOW, _REFINED_SIDE, _OUTPUT_SIDE = 12, 24, 48
"""The side of each network's input, in pixels."""
_STEP = 0.709
_WINDOWS_MAX, _CANDIDATES_MAX = 1000, 300
"""The most windows from the first network, and the most for the second one. A pattern could give many thousands."""
_PROPOSED, _REFINED, _FOUND = 0.6, 0.7, 0.7
_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class _Level:
    """The photo at one scale, which is the size of this image divided by the photo's size."""

    image: Image
    scale: float


@dataclass(frozen=True, slots=True)
class Located:
    """The output network's results for n boxes: better boxes (n, 4), landmarks (n, 5, 2), face probabilities (n,)."""

    boxes: BoxRows
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


class LandmarkLocator:
    """MTCNN's output network alone: it finds the five landmarks of a face in a known box. Thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def locate(self, image: Image, boxes: BoxRows) -> Located:
        """Run the network on each box, widened to a square."""
        boxes = squares(boxes)
        crops = np.empty((len(boxes), _OUTPUT_SIDE, _OUTPUT_SIDE, 3), np.uint8)
        for crop, matrix in zip(crops, _to_crops(boxes, _OUTPUT_SIDE), strict=True):
            warp(image, matrix, crop, border=_GREY)
        answer = self._network.run(pixels=crops)
        sides = boxes[:, 2:] - boxes[:, :2]
        points = answer["landmarks"].reshape(-1, 2, 5).transpose(0, 2, 1)
        # The network counts from a pixel's edge, but landmarks are pixel indices.
        landmarks = boxes[:, None, :2] + points * sides[:, None] - np.float32(0.5)
        return Located(_shifted(boxes, answer["regions"]), landmarks, answer["faces"][:, 0])


class Mtcnn:
    """The detector of the module's docstring. Thread-safe."""

    convincing = 0.99
    credible = 0.9
    finest = 20.0

    def __init__(self, *, proposal: Network, refinement: Network, locator: LandmarkLocator) -> None:
        self._proposal, self._refinement, self._locator = proposal, refinement, locator

    def detect(self, image: Image, *, smallest: float) -> list[Detection]:
        """Find the faces at least about ``smallest`` pixels wide, in no order."""
        levels = _pyramid(image, smallest)
        boxes = self._propose(levels, _WINDOW / smallest)
        if boxes.size:
            boxes = self._refine(levels, squares(boxes))
        if not boxes.size:
            return []
        located = self._locator.locate(image, boxes)
        (good,) = np.nonzero(located.scores > _FOUND)
        kept = good[suppress(located.boxes[good], located.scores[good], 0.6, of_smaller=True)]
        if not kept.size:
            return []
        # A second run of the output network, on its own corrected boxes, gives the landmarks.
        landmarks = self._locator.locate(image, located.boxes[kept]).landmarks
        return detections(located.boxes[kept], landmarks, located.scores[kept])

    def _propose(self, levels: list[_Level], largest_scale: float) -> BoxRows:
        """Find windows that may show a face, by one look at a mosaic of all levels."""
        seen = [level for level in levels if level.scale <= largest_scale * 1.01]
        if not seen:
            return np.empty((0, 4), np.float32)
        canvas, places = mosaic([level.image for level in seen], least=_WINDOW)
        answer = self._proposal.run(pixels=canvas[None])
        windows, scores, of_level = _windows(answer["faces"][0, 0], answer["regions"][0], places)
        kept = suppress(windows, scores, 0.5)  # only within a level, because levels do not overlap in the mosaic
        windows, scores, of_level = windows[kept], scores[kept], of_level[kept]
        scales = np.array([level.scale for level in seen], np.float32)[of_level, None]
        boxes = np.asarray((windows - np.tile(places[of_level, :2], 2)) / scales, np.float32)
        return boxes[suppress(boxes, scores, 0.7)[:_CANDIDATES_MAX]]

    def _refine(self, levels: list[_Level], boxes: BoxRows) -> BoxRows:
        answer = self._refinement.run(pixels=_cut(levels, boxes, _REFINED_SIDE))
        scores = answer["faces"][:, 0]
        good = scores > _REFINED
        boxes = _shifted(boxes[good], answer["regions"][good])
        return boxes[suppress(boxes, scores[good], 0.7)]


def detections(boxes: BoxRows, landmarks: NDArray[np.float32], scores: NDArray[np.float32]) -> list[Detection]:
    """Convert rows of corners, landmarks and scores to detections."""
    return [
        Detection(Box(float(left), float(top), float(right - left), float(bottom - top)), points, float(score))
        for (left, top, right, bottom), points, score in zip(boxes, landmarks, scores, strict=True)
    ]


def _windows(
    faces: NDArray[np.float32], regions: NDArray[np.float32], places: BoxRows
) -> tuple[BoxRows, NDArray[np.float32], NDArray[np.intp]]:
    """Return the strongest windows (n, 4) inside one level of the mosaic, their scores (n,) and their levels (n,).

    ``faces`` (rows, columns) has a window's score at every second pixel. ``regions`` (4, rows, columns) moves the
    window's edges. ``places`` (levels, 4) has the box of each level in the mosaic.
    """
    rows, columns = np.nonzero(faces > _PROPOSED)
    corners = 2 * np.stack([columns, rows], axis=1).astype(np.float32)
    inside = (corners[:, None] >= places[:, :2]) & (corners[:, None] + _WINDOW <= places[:, 2:])
    cells, of_level = np.nonzero(inside.all(axis=2))
    best = strongest(faces[rows[cells], columns[cells]], _WINDOWS_MAX)
    cells, of_level = cells[best], of_level[best]
    windows = np.hstack([corners[cells], corners[cells] + np.float32(_WINDOW)])
    windows += np.float32(_WINDOW) * regions[:, rows[cells], columns[cells]].T
    return windows, faces[rows[cells], columns[cells]], of_level


def _pyramid(image: Image, smallest: float) -> list[_Level]:
    """Shrink the photo step by step.

    At the first scale, the smallest face fills the refinement network's input. At the last, the photo fills a window.
    """
    scale = min(_REFINED_SIDE / smallest, 1.0)
    levels = [_Level(shrink(image, scale), scale)]
    while min(levels[-1].image.shape[:2]) * _STEP >= _WINDOW:
        levels.append(_Level(shrink(levels[-1].image, _STEP), levels[-1].scale * _STEP))
    return levels


def _cut(levels: Sequence[_Level], boxes: BoxRows, side: int) -> NDArray[np.uint8]:
    """Cut out boxes at side x side pixels, each from the level with the nearest scale. The outside is grey."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    wanted = side / np.maximum(boxes[:, 2] - boxes[:, 0], 1e-3) / levels[0].scale
    steps = np.rint(np.log(wanted) / np.log(_STEP)).clip(0, len(levels) - 1).astype(int)
    scales = np.array([level.scale for level in levels], np.float32)[steps]
    matrices = _to_crops(boxes * scales[:, None], side)
    for crop, matrix, step in zip(crops, matrices, steps.tolist(), strict=True):
        image = levels[step].image
        cv2.warpAffine(image, matrix, (side, side), dst=crop, borderMode=cv2.BORDER_CONSTANT, borderValue=_GREY)
    return crops


def _to_crops(boxes: BoxRows, side: int) -> NDArray[np.float64]:
    """Return for each square box the (2, 3) matrix from the image to side x side pixels."""
    matrices = np.zeros((len(boxes), 2, 3))
    scale = side / np.maximum(boxes[:, 2] - boxes[:, 0], np.float32(1e-3)).astype(np.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = (0.5 - boxes[:, :2]) * scale[:, None] - 0.5
    return matrices


def _shifted(boxes: BoxRows, regions: BoxRows) -> BoxRows:
    """Move the corners by fractions of the sides."""
    return np.asarray(boxes + np.tile(boxes[:, 2:] - boxes[:, :2], 2) * regions, np.float32)
