"""The comparison of two packs: whether the new one would answer as the old one does.

Stored templates of both packs are the queries. Each is compared with all other entries. So the nearest other entry is
the answer for a stranger, or for a person who is enrolled twice. An answer *changes* when only one pack finds an entry,
or when both find one but not the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from likeness.gallery.decision import DecisionThreshold
from likeness.index.base import Hit

LISTED_CHANGES = 100
"""How many changed answers a report lists. It counts all."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """An entry's nearest other entry by each of two packs. None in a gallery with one entry."""

    entry_id: str
    old: Hit | None
    new: Hit | None


def compare_packs(
    answers: Sequence[Nearest], decisions: tuple[DecisionThreshold, DecisionThreshold], names: dict[int, str]
) -> dict[str, Any]:
    """Count the answers that would change. ``decisions`` are those of the old and the new pack.

    ``names`` gives the ids of the entries in the hits, by key.
    """
    old, new = decisions
    found_old = [each.old is not None and each.old.score >= old.threshold for each in answers]
    found_new = [each.new is not None and each.new.score >= new.threshold for each in answers]
    same_best = [_key(each.old) == _key(each.new) for each in answers]
    changes = [
        each
        for each, before, after, same in zip(answers, found_old, found_new, same_best, strict=True)
        if before != after or (before and not same)
    ]
    return {
        "compared": len(answers),
        "sameBestEntry": sum(same_best),
        "sameDecision": sum(before == after for before, after in zip(found_old, found_new, strict=True)),
        "foundByOld": sum(found_old),
        "foundByNew": sum(found_new),
        "changed": len(changes),
        "thresholds": [round(old.threshold, 4), round(new.threshold, 4)],
        "changes": [
            {"entry": each.entry_id, "old": _described(each.old, names), "new": _described(each.new, names)}
            for each in changes[:LISTED_CHANGES]
        ],
    }


def other_than(key: int, hits: Sequence[Hit]) -> Hit | None:
    """Give the best hit that is not the entry itself."""
    return next((hit for hit in hits if hit.key != key), None)


def _key(hit: Hit | None) -> int | None:
    return hit.key if hit else None


def _described(hit: Hit | None, names: dict[int, str]) -> dict[str, Any] | None:
    return {"entry": names.get(hit.key), "score": round(hit.score, 4)} if hit else None
