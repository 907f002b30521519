"""YuNet: a small anchor-free network that detects faces of about 10 to 300 pixels.

The landmarks determine how well a face is recognised. They come from MTCNN's output network, which processes each face
alone. On the photos of the packs' measurements, this halves the false non-matches compared with YuNet's landmarks.

Source: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023; the ONNX model of the OpenCV Zoo.
"""

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Detection, Image
from likeness.engine.detection.boxes import BoxRows, strongest, suppress
from likeness.engine.detection.mtcnn import LandmarkLocator, detections
from likeness.engine.photo.resampling import shrink
from likeness.engine.runtime import Network

STRIDES = (8, 16, 32)
_GRID = 32
_SMALLEST_SEEN = 20
"""Pixels that the smallest wanted face is given in the network's input."""
_FOUND = 0.6
_OVERLAP = 0.3
_CELLS_MAX, _FACES_MAX = 2000, 300
"""Cells that are believed, and faces that their landmarks are looked for in; a picture tiled with faces could give many
thousands."""
_BELIEVED = 0.25
"""The least product of the two networks' confidences. In the 7,171 photos of the packs' measurements, no face is below
0.53."""


class YuNet:
    """The detector of the module's docstring. Thread-safe."""

    convincing = 0.9
    credible = 0.5
    finest = 16.0

    def __init__(self, network: Network, locator: LandmarkLocator) -> None:
        self._network, self._locator = network, locator

    def detect(self, image: Image, *, smallest: float) -> list[Detection]:
        """Find the faces at least about ``smallest`` pixels wide, in no order."""
        scale = min(_SMALLEST_SEEN / smallest, 1.0)
        small = shrink(image, scale)
        height, width = small.shape[:2]
        padded = np.zeros((1, -(-height // _GRID) * _GRID, -(-width // _GRID) * _GRID, 3), np.uint8)
        padded[0, :height, :width] = small
        boxes, scores = _decode(self._network.run(pixels=padded), padded.shape[2])
        if not scores.size:
            return []
        boxes *= np.tile(np.array([image.shape[1] / width, image.shape[0] / height], np.float32), 2)
        located = self._locator.locate(image, boxes)
        # Both networks must find an upright face.
        scores *= located.scores
        believed = scores > _BELIEVED
        return detections(boxes[believed], located.landmarks[believed], scores[believed])


def _decode(answer: dict[str, NDArray[np.float32]], width: int) -> tuple[BoxRows, NDArray[np.float32]]:
    """Give boxes and scores in the network's pixels.

    Each cell of three grids says how far its face's middle lies, and how big it is.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        believed = answer[f"cls_{stride}"][0, :, 0].clip(0, 1) * answer[f"obj_{stride}"][0, :, 0].clip(0, 1)
        (good,) = np.nonzero(believed > _FOUND**2)
        cells = np.stack(np.divmod(good, width // stride)[::-1], axis=1).astype(np.float32)
        region = answer[f"bbox_{stride}"][0, good]
        centres, halves = (cells + region[:, :2]) * stride, np.exp(region[:, 2:]) * stride / 2
        boxes.append(np.hstack([centres - halves, centres + halves]))
        scores.append(np.sqrt(believed[good]))
    merged, confidences = np.concatenate(boxes), np.concatenate(scores)
    best = strongest(confidences, _CELLS_MAX)
    kept = best[suppress(merged[best], confidences[best], _OVERLAP)[:_FACES_MAX]]
    return merged[kept], confidences[kept]
