"""Aligned faces to templates: one network, several views of each face, one unit vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import ChipView, Points, cut_chips
from likeness.engine.base import Image
from likeness.engine.runtime import Network


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One recognition network and how it is fed. Thread-safe.

    The network takes ``pixels`` (n, side, side, 3) uint8 RGB and gives one output (n, size); the outputs for a face's
    views are added up and brought to length 1.
    """

    network: Network
    side: int
    reference: Points
    views: tuple[ChipView, ...]
    weight: float
    """The weight of this network in the score of a pack that has several."""
    template_size: int

    def embed(self, image: Image, landmarks: Sequence[Points]) -> NDArray[np.float32]:
        """Give (n, size) float32 unit rows, one per face, in one batch."""
        chips = [cut_chips(image, points, self.reference, self.side, self.views) for points in landmarks]
        (output,) = self.network.run(pixels=np.concatenate(chips)).values()
        return unit(output.reshape(len(landmarks), len(self.views), -1).sum(axis=1))


def fuse(recognisers: Sequence[Recogniser], image: Image, landmarks: Sequence[Points]) -> NDArray[np.float32]:
    """Give (n, total size) float32 unit rows: each network's unit template times the root of its share, side by side.

    The dot product of two such rows is the mean of the networks' own scores, weighted by their shares.
    """
    if not landmarks:
        return np.empty((0, sum(recogniser.template_size for recogniser in recognisers)), np.float32)
    weights = np.array([recogniser.weight for recogniser in recognisers])
    roots = np.sqrt(weights / weights.sum()).astype(np.float32)
    parts = [root * recogniser.embed(image, landmarks) for root, recogniser in zip(roots, recognisers, strict=True)]
    return unit(np.hstack(parts))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
