"""The mean score of all comparisons, with its standard error.

The sums of all scores follow from each person's sum of templates, so no pair is computed. Comparisons share people. So
the standard error leaves out one person at a time (the jackknife), with all their comparisons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.recognition.comparison import People, TemplateRows


@dataclass(frozen=True, slots=True)
class ScoreMean:
    """A mean score (a cosine), its standard error, and the number of comparisons. Without any, both are 0."""

    value: float
    standard_error: float
    comparisons: int


def mean_scores(rows: TemplateRows, people: People) -> tuple[ScoreMean, ScoreMean]:
    """Return the means of the (genuine, impostor) scores between the rows (n, d) of these people (n,)."""
    if not len(rows):
        return ScoreMean(0.0, 0.0, 0), ScoreMean(0.0, 0.0, 0)
    _, person, photos = np.unique(people, return_inverse=True, return_counts=True)
    exact = rows.astype(np.float64)
    sums = np.zeros((len(photos), rows.shape[1]))
    np.add.at(sums, person, exact)
    squares = np.bincount(person, weights=(exact**2).sum(axis=1))
    genuine = ((sums**2).sum(axis=1) - squares) / 2
    whole = sums.sum(axis=0)
    impostor = sums @ whole - (sums**2).sum(axis=1)
    return (
        _mean(genuine, photos * (photos - 1) // 2, times_counted=1),
        _mean(impostor, photos * (len(rows) - photos), times_counted=2),
    )


def _mean(scores: NDArray[np.float64], comparisons: NDArray[np.int64], *, times_counted: int) -> ScoreMean:
    """Compute a mean from each person's (p,) sum of scores and number of comparisons."""
    total, number = float(scores.sum()) / times_counted, int(comparisons.sum()) // times_counted
    if not number:
        return ScoreMean(0.0, 0.0, 0)
    rest = number - comparisons
    taking_part = (comparisons > 0) & (rest > 0)
    count = int(taking_part.sum())
    if count < 2:
        return ScoreMean(total / number, 0.0, number)
    without = (total - scores[taking_part]) / rest[taking_part]
    variance = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    return ScoreMean(total / number, float(np.sqrt(variance)), number)
