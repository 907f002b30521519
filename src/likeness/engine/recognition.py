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
    usual_length: float | None = None
    """The median length of the network's output for good photos, if it was measured."""

    def outputs(self, image: Image, landmarks: Sequence[Points]) -> NDArray[np.float32]:
        """Compute the network's outputs for n faces in one batch, as (n, size): the mean over the views of each."""
        chips = [cut_chips(image, points, self.reference, self.side, self.views) for points in landmarks]
        (output,) = self.network.run(pixels=np.concatenate(chips)).values()
        return np.asarray(output.reshape(len(landmarks), len(self.views), -1).mean(axis=1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Recognised:
    """The templates of n faces (n, total size) as float32 rows of length 1, and what they are worth.

    A row holds each network's unit template, multiplied by the square root of the network's share of the weights. So
    the dot product of two rows is the mean of the networks' scores, weighted by their shares.
    """

    templates: NDArray[np.float32]
    lengths: NDArray[np.float64] | None
    """The lengths (n,) of the outputs divided by the usual ones: their mean over the networks, weighted by the shares.
    A network's output is short for a face that it can hardly recognise. None if a usual length is not known."""


def recognise(recognisers: Sequence[Recogniser], image: Image, landmarks: Sequence[Points]) -> Recognised:
    """Compute one template for each of n faces from all networks."""
    if not landmarks:
        nothing = np.empty((0, sum(recogniser.template_size for recogniser in recognisers)), np.float32)
        return Recognised(nothing, np.empty(0))
    weights = np.array([recogniser.weight for recogniser in recognisers])
    shares = weights / weights.sum()
    outputs = [recogniser.outputs(image, landmarks) for recogniser in recognisers]
    parts = [root * unit(rows) for root, rows in zip(np.sqrt(shares).astype(np.float32), outputs, strict=True)]
    usual = [recogniser.usual_length for recogniser in recognisers if recogniser.usual_length]
    lengths = None
    if len(usual) == len(recognisers):
        lengths = shares / usual @ np.array([np.linalg.norm(rows, axis=1) for rows in outputs], np.float64)
    return Recognised(unit(np.hstack(parts)), lengths)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
