"""Passive presentation attack detection on one frame: a live face, or a picture of a picture.

One still frame is weak evidence. A face session uses these scores as one signal among several; they never decide alone.
"""

from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Detection, Image, LiveScores
from likeness.engine.photo.resampling import warp
from likeness.engine.runtime import Network


@dataclass(frozen=True, slots=True)
class PadModel:
    """A PAD network, from ``pixels`` (n, side, side, 3) uint8 RGB to one logit for each class. Thread-safe."""

    id: str
    network: Network
    side: int
    crop: float
    """Side of the square that the network sees, as a multiple of the longer side of the face's box."""
    live_output: int
    """Index of the class of live faces."""

    def score(self, image: Image, detection: Detection) -> float:
        """Return the network's probability that the face is live, in [0, 1]."""
        box = detection.box
        # The square stays inside the photo, because the networks learned from surroundings and not from borders.
        height, width = image.shape[:2]
        side = max(min(self.crop * max(box.width, box.height), width, height), 1.0)
        left = min(max(box.x + (box.width - side) / 2, 0), width - side)
        top = min(max(box.y + (box.height - side) / 2, 0), height - side)
        scale = self.side / side
        matrix = np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]])
        crop = np.empty((1, self.side, self.side, 3), np.uint8)
        warp(image, matrix, crop[0])
        (logits,) = self.network.run(pixels=crop).values()
        weights = np.exp(logits[0] - logits[0].max())
        return float(weights[self.live_output] / weights.sum())


def live_scores(models: tuple[PadModel, ...], image: Image, detection: Detection) -> LiveScores:
    """Compute the score of every model for one face."""
    return LiveScores({model.id: model.score(image, detection) for model in models})
