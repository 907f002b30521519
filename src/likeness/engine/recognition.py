"""From aligned faces to templates: a network sees several views of each face and gives one unit vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import ChipView, Points, cut_chips
from likeness.engine.base import Image
from likeness.engine.runtime import Network


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One recognition network with its input. Thread-safe.

    The network takes ``pixels`` (n, side, side, 3) uint8 RGB and returns one output (n, size). A template is the sum of
    the outputs for a face's views, scaled to length 1.
    """

    network: Network
    side: int
    reference: Points
    views: tuple[ChipView, ...]
    weight: float
    """The weight of this network in the score of a pack that has several."""
    template_size: int

    def embed(self, image: Image, landmarks: Sequence[Points]) -> NDArray[np.float32]:
        """Compute the templates of n faces in one batch, as (n, size) float32 rows of length 1."""
        chips = [cut_chips(image, points, self.reference, self.side, self.views) for points in landmarks]
        (output,) = self.network.run(pixels=np.concatenate(chips)).values()
        return unit(output.reshape(len(landmarks), len(self.views), -1).sum(axis=1))


def fuse(recognisers: Sequence[Recogniser], image: Image, landmarks: Sequence[Points]) -> NDArray[np.float32]:
    """Compute one template for each of n faces from all networks, as (n, total size) float32 rows of length 1.

    A row holds each network's unit template, multiplied by the square root of the network's share of the weights. So
    the dot product of two rows is the mean of the networks' scores, weighted by their shares.
    """
    if not landmarks:
        return np.empty((0, sum(recogniser.template_size for recogniser in recognisers)), np.float32)
    weights = np.array([recogniser.weight for recogniser in recognisers])
    roots = np.sqrt(weights / weights.sum()).astype(np.float32)
    parts = [root * recogniser.embed(image, landmarks) for root, recogniser in zip(roots, recognisers, strict=True)]
    return unit(np.hstack(parts))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
