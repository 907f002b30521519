"""The comparison counts exactly the answers that a cut-over would change."""

import pytest

from likeness.gallery.decision import DecisionThreshold, Rule
from likeness.gallery.reindex.comparison import LISTED_CHANGES, Nearest, compare_packs, other_than
from likeness.index.base import Hit

NAMES = {1: "one", 2: "two"}


def decision(threshold: float) -> DecisionThreshold:
    return DecisionThreshold(Rule.LEVEL, threshold, 4, 1e-5, 0.01, extrapolated=False)


OLD, NEW = decision(0.9), decision(0.5)


@pytest.mark.parametrize(
    ("old", "new", "changed", "same_decision", "same_best"),
    [
        (Hit(1, 0.95), Hit(1, 0.6), 0, 1, 1),
        (Hit(1, 0.95), Hit(2, 0.6), 1, 1, 0),
        (Hit(1, 0.95), Hit(1, 0.4), 1, 0, 1),
        (Hit(1, 0.8), Hit(1, 0.6), 1, 0, 1),
        (Hit(1, 0.8), Hit(2, 0.4), 0, 1, 0),  # neither pack finds an entry, so the nearest does not matter
        (Hit(1, 0.9), Hit(1, 0.5), 0, 1, 1),  # a score equal to the threshold finds the entry
        (None, None, 0, 1, 1),
        (None, Hit(1, 0.6), 1, 0, 0),
    ],
)
def test_an_answer_changes_where_somebody_else_is_found(
    old: Hit | None, new: Hit | None, changed: int, same_decision: int, same_best: int
) -> None:
    report = compare_packs([Nearest("me", old, new)], (OLD, NEW), NAMES)
    assert (report["changed"], report["sameDecision"], report["sameBestEntry"]) == (changed, same_decision, same_best)
    assert len(report["changes"]) == changed


def test_changes_are_listed_by_name_up_to_a_limit() -> None:
    answers = [Nearest(f"e{number}", Hit(1, 0.95), Hit(2, 0.1)) for number in range(LISTED_CHANGES + 5)]
    report = compare_packs(answers, (OLD, NEW), NAMES)
    assert report["changed"] == report["foundByOld"] == report["compared"] == LISTED_CHANGES + 5
    assert report["foundByNew"] == 0
    assert len(report["changes"]) == LISTED_CHANGES
    first = {"entry": "e0", "old": {"entry": "one", "score": 0.95}, "new": {"entry": "two", "score": 0.1}}
    assert report["changes"][0] == first


def test_an_entry_is_not_its_own_neighbour() -> None:
    assert other_than(1, (Hit(1, 1.0), Hit(2, 0.3))) == Hit(2, 0.3)
    assert other_than(2, (Hit(1, 1.0), Hit(2, 1.0))) == Hit(1, 1.0)
    assert other_than(1, (Hit(1, 1.0),)) is None
