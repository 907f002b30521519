"""Measurement of one-to-many search: false-negative (FNIR) and false-positive identification rates (FPIR).

Protocol (ISO/IEC 19795-1, open set): a random half of the people is enrolled with one random photo each, up to the
gallery's size. Their other photos are mated probes. All photos of the other people are non-mated probes. A mated probe
fails if the gallery's best score is another person's, or if it does not reach the threshold. The results of several
random galleries are pooled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.recognition.comparison import People, TemplateRows

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with its two error rates.

    ``target_fpir`` is the FPIR that it was chosen for, or None for a given threshold.
    """

    threshold: float
    fpir: float
    fnir: float
    target_fpir: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The best score of every search, pooled over the random galleries."""

    gallery_size: int
    galleries: int
    mated_best: NDArray[np.float64]
    """The best score if it is the right person's; otherwise minus infinity."""
    non_mated_best: NDArray[np.float64]

    def at(self, threshold: float) -> OperatingPoint:
        """Return both rates at a threshold."""
        return OperatingPoint(
            threshold,
            fpir=float((self.non_mated_best >= threshold).mean()) if self.non_mated_best.size else 0.0,
            fnir=float((self.mated_best < threshold).mean()) if self.mated_best.size else 0.0,
        )

    def at_fpir(self, fpir: float) -> OperatingPoint | None:
        """Return FNIR at the lowest threshold that keeps an FPIR.

        Return None if there are too few searches: they must allow ten errors.
        """
        allowed = int(fpir * self.non_mated_best.size + 1e-9)
        if allowed < 10:
            return None
        descending = np.sort(self.non_mated_best)[::-1]
        threshold = float(np.nextafter(descending[allowed], np.inf)) if allowed < descending.size else -1.0
        point = self.at(threshold)
        return OperatingPoint(threshold, point.fpir, point.fnir, fpir)


def search_galleries(
    rows: TemplateRows, people: People, *, gallery_size: int, galleries: int = 5, seed: int = 0
) -> Searches:
    """Search random galleries of at most ``gallery_size`` people, with the protocol of the module's docstring."""
    generator = np.random.default_rng(seed)
    everybody = np.unique(people)
    size = min(gallery_size, len(everybody) // 2)
    mated, non_mated = [], []
    for _ in range(galleries if size else 0):
        enrolled = generator.permutation(everybody)[:size]
        shuffled = generator.permutation(len(people))
        present, first = np.unique(people[shuffled], return_index=True)
        references = shuffled[first[np.isin(present, enrolled)]]
        in_gallery = np.isin(people, enrolled)
        probes = in_gallery.copy()
        probes[references] = False
        best, whose = _best(rows, np.flatnonzero(probes), references, people)
        mated.append(np.where(whose == people[probes], best, -np.inf))
        non_mated.append(_best(rows, np.flatnonzero(~in_gallery), references, people)[0])
    nothing: Sequence[NDArray[np.float64]] = [np.empty(0)]
    return Searches(size, galleries, np.concatenate(mated or nothing), np.concatenate(non_mated or nothing))


def _best(
    rows: TemplateRows, probes: NDArray[np.int64], references: NDArray[np.int64], people: People
) -> tuple[NDArray[np.float64], People]:
    """Return each probe's best score in the gallery, and the person of that reference."""
    best, whose = np.empty(len(probes)), np.empty(len(probes), people.dtype)
    for start in range(0, len(probes), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores = rows[probes[part]] @ rows[references].T
        nearest = scores.argmax(axis=1)
        best[part] = scores[np.arange(len(scores)), nearest]
        whose[part] = people[references[nearest]]
    return best, whose
