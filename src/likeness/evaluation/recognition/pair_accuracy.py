"""Accuracy on chosen pairs.

The threshold of a tenth is chosen on the other nine, as in LFW's View 2, but the tenths are drawn here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 10


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """The fraction of pairs told right, over the folds: its mean, and the mean's standard error."""

    mean: float
    standard_error: float
    genuine: int
    impostor: int


def pair_accuracy(scores: NDArray[np.float64], genuine: NDArray[np.bool_], *, seed: int = 0) -> PairAccuracy | None:
    """Cross-validate over random folds of genuine and impostor pairs alike; None for fewer than ten of either.

    Both kinds weigh the same, as in View 2, which has as many of the one as of the other.
    """
    counts = int(genuine.sum()), int((~genuine).sum())
    if min(counts) < FOLDS:
        return None
    generator = np.random.default_rng(seed)
    fold = np.empty(len(scores), np.int64)
    for kind in (genuine, ~genuine):
        fold[kind] = generator.permutation(int(kind.sum())) % FOLDS
    accuracies = []
    for held_out in range(FOLDS):
        test = fold == held_out
        threshold = _best_threshold(scores[~test], genuine[~test])
        accuracies.append(_balanced(scores[test] >= threshold, genuine[test]))
    return PairAccuracy(
        float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(FOLDS)), counts[0], counts[1]
    )


def _best_threshold(scores: NDArray[np.float64], genuine: NDArray[np.bool_]) -> float:
    order = np.argsort(scores)
    own = genuine[order]
    # Entry k: the threshold lies half way to the k-th lowest score from the one below, so k pairs are told to be
    # impostors.
    accepted = 1 - np.concatenate([[0.0], own.cumsum()[:-1]]) / own.sum()
    refused = np.concatenate([[0.0], (~own).cumsum()[:-1]]) / (~own).sum()
    best = int(np.argmax(accepted + refused))
    return float(scores[order][max(best - 1, 0) : best + 1].mean())


def _balanced(matched: NDArray[np.bool_], genuine: NDArray[np.bool_]) -> float:
    return float((matched[genuine].mean() + (~matched[~genuine]).mean()) / 2)
