"""One-to-many search, measured: who is in the gallery and not found (FNIR), who is not in it and found (FPIR).

Protocol (ISO/IEC 19795-1, open set): a random half of the people, at most as many as the gallery holds, is enrolled
with one random photo each. Their other photos are mated probes, all photos of the others non-mated ones. A mated probe
fails where the gallery's best score is another person's, or does not reach the threshold. Several random galleries are
pooled.
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

    ``target_fpir`` is what it was chosen for, None for a threshold that was given.
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
    """The best score where it is the right person's, else minus infinity."""
    non_mated_best: NDArray[np.float64]

    def at(self, threshold: float) -> OperatingPoint:
        """Give both rates at a threshold."""
        return OperatingPoint(
            threshold,
            fpir=float((self.non_mated_best >= threshold).mean()) if self.non_mated_best.size else 0.0,
            fnir=float((self.mated_best < threshold).mean()) if self.mated_best.size else 0.0,
        )

    def at_fpir(self, fpir: float) -> OperatingPoint | None:
        """Give FNIR at the lowest threshold that keeps to an FPIR.

        None where the searches are too few to tell (under ten errors).
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
    """Search random galleries of at most ``gallery_size`` people, as the module's docstring says."""
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
    """Give each probe's best score in the gallery, and whose reference it is."""
    best, whose = np.empty(len(probes)), np.empty(len(probes), people.dtype)
    for start in range(0, len(probes), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores = rows[probes[part]] @ rows[references].T
        nearest = scores.argmax(axis=1)
        best[part] = scores[np.arange(len(scores)), nearest]
        whose[part] = people[references[nearest]]
    return best, whose
