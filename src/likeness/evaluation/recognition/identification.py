"""Measurement of one-to-many search: false-negative (FNIR) and false-positive identification rates (FPIR).

Protocol (ISO/IEC 19795-1, open set): random people are enrolled with one random photo each, by default half of them.
Their other photos are mated probes. All photos of the other people are non-mated probes. A mated probe fails if the
gallery's best score is another person's, or if it does not reach the threshold. The results of several random galleries
are pooled.

FPIR can also be measured in a gallery alone, without other people: each entry is searched for among the others
(*leave-one-out*). The entries of one person are left out together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.recognition.comparison import People, TemplateRows
from likeness.evaluation.recognition.rates import Rate, search_rate

USUAL_SIZE = 1000
_BLOCK = 1024
_BLOCK_SCORES = 1 << 25
"""The most scores in memory at a time."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with its two error rates.

    ``target_fpir`` is the FPIR that it was chosen for, or None for a given threshold.
    """

    threshold: float
    fpir: float
    fnir: float
    target_fpir: float | None = None
    left_out_fpir: Rate | None = None
    """FPIR at the threshold by leave-one-out, in the first of the galleries."""


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The best score of every search, pooled over the random galleries."""

    gallery_size: int
    galleries: int
    mated_best: NDArray[np.float64]
    """The best score if it is the right person's; otherwise minus infinity."""
    non_mated_best: NDArray[np.float64]
    left_out: "LeaveOneOut | None" = None

    def at(self, threshold: float) -> OperatingPoint:
        """Return both rates at a threshold."""
        return OperatingPoint(
            threshold,
            fpir=float((self.non_mated_best >= threshold).mean()) if self.non_mated_best.size else 0.0,
            fnir=float((self.mated_best < threshold).mean()) if self.mated_best.size else 0.0,
            left_out_fpir=self.left_out.fpir(threshold) if self.left_out else None,
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
        return replace(point, target_fpir=fpir)


@dataclass(frozen=True, slots=True, eq=False)
class LeaveOneOut:
    """The searches of a gallery's entries among the entries of other people."""

    person_of: People
    """The person (n,) of each entry, from 0."""
    searched: NDArray[np.int64]
    """The entries (m,) that were searched for."""
    best: NDArray[np.float64]
    """The best score (m,) of each search. It is minus infinity when there is nobody else."""
    whose: People
    """The person (m,) of the best score."""
    second: NDArray[np.float64]
    """The best score (m,) of any other person."""

    def fpir(self, threshold: float) -> Rate:
        """Return the fraction of searches that find somebody else at a threshold."""
        people = int(self.person_of.max(initial=-1)) + 1
        own, found = self.person_of[self.searched], self.best >= threshold
        alone = found & (self.second < threshold)
        return search_rate(
            int(found.sum()),
            len(found),
            np.bincount(own[found], minlength=people) + np.bincount(self.whose[alone], minlength=people),
            np.bincount(own, minlength=people),
            unshared=min(len(found), people / 2),  # two people have one comparison, and it decides both searches
        )


def leave_one_out(
    rows: TemplateRows,
    person_of: People,
    searched: NDArray[np.int64] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> LeaveOneOut:
    """Search for entries (n, d) of a gallery among the entries of other people. By default search for all of them.

    ``person_of`` (n,) counts from 0. ``progress`` takes the number of searches done.
    """
    searched = np.arange(len(rows)) if searched is None else searched
    best, whose = np.full(len(searched), -np.inf), np.zeros(len(searched), np.int64)
    second = np.full(len(searched), -np.inf)
    members = _Members(person_of)
    step = max(min(_BLOCK, _BLOCK_SCORES // max(len(rows), 1)), 1)
    for start in range(0, len(searched), step):
        part = slice(start, start + step)
        scores = rows[searched[part]] @ rows.T
        scores[members.of(person_of[searched[part]])] = -np.inf
        nearest = scores.argmax(axis=1)
        best[part] = scores[np.arange(len(scores)), nearest]
        whose[part] = person_of[nearest]
        scores[members.of(whose[part])] = -np.inf
        second[part] = scores.max(axis=1)
        progress(min(start + step, len(searched)))
    return LeaveOneOut(person_of, searched, best, whose, second)


class _Members:
    """The entries of each person."""

    def __init__(self, person_of: People) -> None:
        self._entries = np.argsort(person_of, kind="stable")
        self._counts = np.bincount(person_of)
        self._ends = self._counts.cumsum()

    def of(self, people: People) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (places in ``people``, entries) of all entries of these people."""
        counts = self._counts[people]
        places = np.repeat(np.arange(len(people)), counts)
        before = np.repeat(counts.cumsum(), counts) - np.arange(len(places))
        return places, self._entries[np.repeat(self._ends[people], counts) - before]


def search_galleries(
    rows: TemplateRows, people: People, *, gallery_size: int | None = None, galleries: int = 5, seed: int = 0
) -> Searches:
    """Search random galleries with the protocol of the module's docstring.

    A ``gallery_size`` of None takes half of the people, but at most :data:`USUAL_SIZE`. Another one leaves at least one
    person outside the gallery.
    """
    generator = np.random.default_rng(seed)
    everybody = np.unique(people)
    half = min(USUAL_SIZE, len(everybody) // 2)
    size = half if gallery_size is None else max(min(gallery_size, len(everybody) - 1), 0)
    mated, non_mated, left_out = [], [], None
    for _ in range(galleries if size else 0):
        enrolled = generator.permutation(everybody)[:size]
        shuffled = generator.permutation(len(people))
        present, first = np.unique(people[shuffled], return_index=True)
        references = shuffled[first[np.isin(present, enrolled)]]
        left_out = left_out or leave_one_out(rows[references], np.arange(size))
        in_gallery = np.isin(people, enrolled)
        probes = in_gallery.copy()
        probes[references] = False
        best, whose = _best(rows, np.flatnonzero(probes), references, people)
        mated.append(np.where(whose == people[probes], best, -np.inf))
        non_mated.append(_best(rows, np.flatnonzero(~in_gallery), references, people)[0])
    nothing: Sequence[NDArray[np.float64]] = [np.empty(0)]
    return Searches(size, galleries, np.concatenate(mated or nothing), np.concatenate(non_mated or nothing), left_out)


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
