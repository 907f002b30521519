"""One answer from the answers of several indexes."""

import heapq
from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from likeness.index.base import Answer, Hit, Index


def merged(answers: Collection[Answer], *, k: int | None) -> Answer:
    """Give the answer of an index that would have the templates of all: the best ``k`` hits (None: all).

    No key is in two of them. Each answer has its best ``k`` hits, or all. It is certified if all are.
    """
    ranked = heapq.merge(*(answer.hits for answer in answers), key=_rank)
    return Answer(
        tuple(islice(ranked, k)),
        certified=all(answer.certified for answer in answers),
        size=sum(answer.size for answer in answers),
    )


def outside(answer: Answer, index: Index) -> Answer:
    """Give an answer without the hits whose key another index has."""
    return replace(answer, hits=tuple(hit for hit in answer.hits if hit.key not in index))


def _rank(hit: Hit) -> tuple[float, int]:
    return -hit.score, hit.key
