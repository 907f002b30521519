"""All comparisons of a set of templates, each pair once. They run in blocks to bound the memory."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.recognition.histogram import ScoreHistogram

TemplateRows = NDArray[np.float32]
"""Templates as unit rows (n, d)."""
People = NDArray[np.int64]
"""The person of each row (n,)."""

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A score and the numbers of its two rows."""

    score: float
    first: int
    second: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """The scores of all pairs, and the worst pairs."""

    genuine: ScoreHistogram
    impostor: ScoreHistogram
    lowest_genuine: tuple[ScoredPair, ...]
    """Worst first, at most one pair for each person."""
    highest_impostor: tuple[ScoredPair, ...]
    """Worst first, at most one pair for each two people."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorsByPerson:
    """The comparisons and errors of each person.

    ``genuine`` and ``impostor`` (p,) count the comparisons that each person takes part in. The other two (p, t) count
    their errors at each threshold. An impostor comparison counts for both people, and a genuine one counts once.
    """

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]
    false_non_matches: NDArray[np.int64]
    false_matches: NDArray[np.int64]


def count_pairs(people: People) -> tuple[int, int]:
    """Return the numbers of (genuine, impostor) comparisons between the rows of these people."""
    _, photos = np.unique(people, return_counts=True)
    genuine = int((photos * (photos - 1) // 2).sum())
    return genuine, len(people) * (len(people) - 1) // 2 - genuine


def compare_all(rows: TemplateRows, people: People, *, keep: int = 24) -> Comparisons:
    """Compare all pairs of rows once, and keep the ``keep`` worst pairs of each kind."""
    genuine, impostor = ScoreHistogram(), ScoreHistogram()
    lowest, highest = _Worst(keep, people, lowest=True), _Worst(keep, people, lowest=False)
    for start, scores, same, other in _blocks(rows, people):
        genuine.add(scores[same])
        impostor.add(scores[other])
        lowest.look(scores, same, start)
        highest.look(scores, other, start)
    return Comparisons(genuine, impostor, lowest.pairs(), highest.pairs())


def count_errors(rows: TemplateRows, people: People, thresholds: Sequence[float]) -> ErrorsByPerson:
    """Count each person's comparisons and errors at each threshold. The people are 0..max(people)."""
    count = int(people.max(initial=-1)) + 1
    photos = np.bincount(people, minlength=count)
    false_matches = np.zeros((count, len(thresholds)), np.int64)
    false_non_matches = np.zeros((count, len(thresholds)), np.int64)
    floor = min(thresholds, default=0.0)
    for start, scores, same, other in _blocks(rows, people):
        first, second = np.nonzero(other & (scores >= floor))
        wrong = scores[first, second].astype(np.float64)
        own_first, own_second = np.nonzero(same)
        own = scores[own_first, own_second].astype(np.float64)
        for column, threshold in enumerate(thresholds):
            reached = wrong >= threshold
            for side in (first[reached], second[reached]):
                false_matches[:, column] += np.bincount(people[start + side], minlength=count)
            missed = people[start + own_first[own < threshold]]
            false_non_matches[:, column] += np.bincount(missed, minlength=count)
    return ErrorsByPerson(
        genuine=photos * (photos - 1) // 2,
        impostor=photos * (len(people) - photos),
        false_non_matches=false_non_matches,
        false_matches=false_matches,
    )


def count_errors_between(
    rows: TemplateRows,
    others: TemplateRows,
    people: People,
    others_people: People,
    same_photo: NDArray[np.bool_],
    thresholds: Sequence[float],
) -> ErrorsByPerson:
    """Count as :func:`count_errors` does, for each of ``rows`` (n, d) against each of ``others`` (m, d).

    Pairs in ``same_photo`` (n, m) do not count.
    """
    count = int(max(people.max(initial=-1), others_people.max(initial=-1))) + 1
    same = people[:, None] == others_people[None, :]
    scores = rows @ others.T

    def by_person(chosen: NDArray[np.bool_], *, both: bool) -> NDArray[np.int64]:
        first, second = np.nonzero(chosen)
        counts = np.bincount(people[first], minlength=count)
        return counts + np.bincount(others_people[second], minlength=count) if both else counts

    genuine, impostor = same & ~same_photo, ~same
    missed = [by_person(genuine & (scores < threshold), both=False) for threshold in thresholds]
    matched = [by_person(impostor & (scores >= threshold), both=True) for threshold in thresholds]
    return ErrorsByPerson(
        genuine=by_person(genuine, both=False),
        impostor=by_person(impostor, both=True),
        false_non_matches=np.stack(missed, axis=1),
        false_matches=np.stack(matched, axis=1),
    )


def _blocks(
    rows: TemplateRows, people: People
) -> Iterator[tuple[int, TemplateRows, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield (start, scores, genuine, impostor) for each block.

    A block compares some rows from ``start`` on with all rows from ``start`` on. Each pair is in one block only.
    """
    for start in range(0, len(rows), _BLOCK):
        scores = rows[start : start + _BLOCK] @ rows[start:].T
        later = np.arange(len(rows) - start) > np.arange(len(scores))[:, None]
        same = people[start : start + _BLOCK, None] == people[None, start:]
        yield start, scores, same & later, ~same & later


class _Worst:
    """The lowest or the highest scores so far.

    There is at most one for each person or two people, so that one bad photo does not fill the list.
    """

    def __init__(self, keep: int, people: People, *, lowest: bool) -> None:
        self._keep = keep
        self._people = people
        self._sign = 1 if lowest else -1
        self._found: dict[tuple[int, int], tuple[float, int, int]] = {}

    def look(self, scores: TemplateRows, chosen: NDArray[np.bool_], start: int) -> None:
        """Add the chosen scores of a block. Its rows and columns count from ``start``."""
        if not self._keep:
            return
        values = self._sign * scores
        if len(self._found) == self._keep:
            chosen = chosen & (values < max(self._found.values())[0])
        first, second = np.nonzero(chosen)
        in_block: dict[tuple[int, int], tuple[float, int, int]] = {}
        for position in np.argsort(values[first, second], kind="stable"):
            row, column = int(first[position]), int(second[position])
            one, other = sorted((int(self._people[start + row]), int(self._people[start + column])))
            in_block.setdefault((one, other), (float(values[row, column]), start + row, start + column))
            if len(in_block) == self._keep:
                break
        for between, pair in in_block.items():
            self._found[between] = min(pair, self._found.get(between, pair))
        self._found = dict(heapq.nsmallest(self._keep, self._found.items(), key=itemgetter(1)))

    def pairs(self) -> tuple[ScoredPair, ...]:
        """Return the pairs, worst first."""
        return tuple(
            ScoredPair(self._sign * value, first, second) for value, first, second in sorted(self._found.values())
        )
