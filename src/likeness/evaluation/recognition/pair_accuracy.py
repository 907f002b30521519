"""Accuracy on chosen pairs.

Nine tenths of the pairs choose the threshold for the other tenth, as in LFW's View 2. The tenths are drawn at random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 10


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """The fraction of pairs that are classified correctly: its mean over the folds, and the mean's standard error."""

    mean: float
    standard_error: float
    genuine: int
    impostor: int


def pair_accuracy(scores: NDArray[np.float64], genuine: NDArray[np.bool_], *, seed: int = 0) -> PairAccuracy | None:
    """Cross-validate over random folds of genuine and impostor pairs. Return None for fewer than ten pairs of a kind.

    ``scores`` and ``genuine`` are (n,). Both kinds have the same weight; View 2 has the same number of each.
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
    # For entry k, the threshold is half way between the k-th lowest score and the score below it. So k pairs are
    # classified as impostors.
    accepted = 1 - np.concatenate([[0.0], own.cumsum()[:-1]]) / own.sum()
    refused = np.concatenate([[0.0], (~own).cumsum()[:-1]]) / (~own).sum()
    best = int(np.argmax(accepted + refused))
    return float(scores[order][max(best - 1, 0) : best + 1].mean())


def _balanced(matched: NDArray[np.bool_], genuine: NDArray[np.bool_]) -> float:
    return float((matched[genuine].mean() + (~matched[~genuine]).mean()) / 2)
