"""A comparison covers exactly the entries that a scan may have missed. An oracle that remembers all checks it."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Transaction

from likeness.gallery.memory.recent import RecentEnrolments
from likeness.index.scores import exact_scores

DIMENSION = 4
RNG = np.random.default_rng(1)
PEOPLE = [vector / np.linalg.norm(vector) for vector in RNG.standard_normal((6, DIMENSION)).astype(np.float32)]


def new_transaction() -> Transaction:
    return object.__new__(Transaction)


@dataclass
class Scan:
    """A running search-or-insert: the position to compare from, and the index's keys when it began."""

    position: int
    seen: frozenset[int]
    end: ExitStack = field(default_factory=ExitStack)


class Galleries(RuleBasedStateMachine):
    """One writer commits or rolls back its transactions. Scans begin and end at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.recent = RecentEnrolments(DIMENSION)
        self.database: dict[int, int] = {}
        self.index: set[int] = set()
        self.written: dict[int, int] = {}
        self.scans: list[Scan] = []
        self.transaction = new_transaction()

    @rule(person=st.integers(0, 5))
    def insert(self, person: int) -> None:
        self.recent.enter(self.transaction)
        key = max([0, *self.database, *self.written]) + 1
        self.recent.record(key, PEOPLE[person])
        self.written[key] = person

    @rule()
    def commit(self) -> None:
        self.database |= self.written
        for key in self.written:
            self.index.add(key)
            self.recent.mark_indexed(key)
        self.written = {}
        self.transaction = new_transaction()

    @rule()
    def roll_back(self) -> None:
        self.written = {}
        self.transaction = new_transaction()

    @rule()
    def begin_scan(self) -> None:
        scan = Scan(0, frozenset(self.index))
        scan.position = scan.end.enter_context(self.recent.watch())
        self.scans.append(Scan(scan.position, frozenset(self.index), scan.end))

    @precondition(lambda self: self.scans)
    @rule(data=st.data(), person=st.integers(0, 5))
    def end_scan(self, data: st.DataObject, person: int) -> None:
        scan = self.scans.pop(data.draw(st.integers(0, len(self.scans) - 1)))
        self.recent.enter(self.transaction)
        matches_since = self.recent.matches_since(scan.position, PEOPLE[person], 0.9)
        there = self.database | self.written
        missed = {key for key, other in there.items() if key not in scan.seen and other == person}
        assert missed <= {key for key, _ in matches_since}
        assert {key for key, _ in matches_since} <= {key for key, other in there.items() if other == person}
        assert [score for _, score in matches_since] == sorted((score for _, score in matches_since), reverse=True)
        scan.end.close()

    @invariant()
    def what_is_unsettled_is_what_the_transaction_wrote(self) -> None:
        self.recent.enter(self.transaction)
        assert self.recent.unindexed == len(self.written)

    def teardown(self) -> None:
        for scan in self.scans:
            scan.end.close()


Galleries.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestHistories = Galleries.TestCase


def test_scores_are_exact_and_the_threshold_is_reached_by_equality() -> None:
    recent = RecentEnrolments(DIMENSION)
    recent.enter(new_transaction())
    rows = np.stack(PEOPLE)
    for key, row in enumerate(rows):
        recent.record(key, row)
    probe = PEOPLE[0]
    scores = exact_scores(rows, probe)
    for key, score in enumerate(scores):
        assert (key, score) in recent.matches_since(0, probe, float(score))
        above = float(np.nextafter(score, np.float32(2)))
        assert key not in [rival for rival, _ in recent.matches_since(0, probe, above)]


def test_what_nobody_watches_is_let_go_of() -> None:
    recent = RecentEnrolments(DIMENSION)
    row = np.zeros(DIMENSION, np.float32)
    with recent.watch() as position:
        for key in range(5000):
            recent.enter(new_transaction())
            recent.record(key, row)
            recent.mark_indexed(key)
        assert len(recent.matches_since(position, row, -1)) == 5000
    assert recent._rows.shape[0] <= 64
    assert recent._keys == []


def test_a_key_given_again_after_a_roll_back_is_the_new_entrys() -> None:
    recent = RecentEnrolments(DIMENSION)
    with recent.watch() as position:
        recent.enter(new_transaction())
        recent.record(1, PEOPLE[0])
        recent.enter(new_transaction())
        recent.record(1, PEOPLE[1])
        recent.mark_indexed(1)
        assert recent.matches_since(position, PEOPLE[0], 0.99) == []
        assert [key for key, _ in recent.matches_since(position, PEOPLE[1], 0.99)] == [1]


def test_settling_what_was_never_recorded_is_an_error() -> None:
    recent = RecentEnrolments(DIMENSION)
    with pytest.raises(ValueError, match="not in list"):
        recent.mark_indexed(1)
