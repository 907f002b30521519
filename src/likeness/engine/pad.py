"""Passive presentation attack detection: is this one picture of a face, or a picture of a picture?

One still frame is a weak witness. These scores are one signal among several of a face session, never the judge.
"""

from dataclasses import dataclass

import numpy as np

from likeness.engine.base import Detection, Image, LiveScores
from likeness.engine.photo.resampling import warp
from likeness.engine.runtime import Network


@dataclass(frozen=True, slots=True)
class PadModel:
    """One network that takes ``pixels`` (n, side, side, 3) uint8 RGB and gives one logit per class. Thread-safe."""

    id: str
    network: Network
    side: int
    crop: float
    """Side of the square that the network sees, in the longer sides of the face's box."""
    live_output: int

    def score(self, image: Image, detection: Detection) -> float:
        """Give the probability, as the network sees it, that the face is live."""
        box = detection.box
        # The square never leaves the photo: the networks have learned surroundings, not borders.
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
    """Ask every model."""
    return LiveScores({model.id: model.score(image, detection) for model in models})
