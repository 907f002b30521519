"""Threads insert, delete, replace and search at once. No row is missed or answers with another row's score."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index.exact import ExactIndex
from likeness.index.scans import Scan
from likeness.index.scores import exact_scores

DIMENSION = 32
RESIDENTS = 150
VISITORS = 400
CHANGELING = RESIDENTS + VISITORS


@pytest.fixture
def hurried() -> Iterator[None]:
    """Make threads switch as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


class Crowd:
    """Residents stay, visitors come and go, and the changeling has one of two templates at any time.

    Every deletion moves a row into its hole. All that a search sees must have been true at one moment of the search.
    ``faults`` collects what was true at no moment.
    """

    def __init__(self, index: ExactIndex, rows: NDArray[np.float32]) -> None:
        self.index, self.rows = index, rows
        self.over = Event()
        self.faults: set[Any] = set()
        index.add_many(range(CHANGELING + 1), rows[: CHANGELING + 1])

    def templates(self, key: int) -> NDArray[np.float32]:
        return self.rows[CHANGELING:] if key == CHANGELING else self.rows[key : key + 1]

    def expect(self, truth: bool, fault: str) -> None:
        if not truth:
            self.faults.add(fault)

    def come_and_go(self, seed: int) -> None:
        random, mine = np.random.default_rng(seed), range(RESIDENTS + seed, CHANGELING, 2)
        while not self.over.is_set():
            for key in random.permutation(mine)[:50].tolist():
                self.expect(self.index.remove(key), "a row was lost")
                self.expect(key not in self.index, "a row stayed")
            missing = [key for key in mine if key not in self.index]
            self.index.add_many(missing, self.rows[missing])

    def change_face(self) -> None:
        turn = 0
        while not self.over.is_set():
            turn = 1 - turn
            template = self.rows[CHANGELING + turn]
            self.index.add(CHANGELING, template)
            self.expect(
                self.index.search(template).hits[0].key == CHANGELING, "a row was not found after its insert returned"
            )

    def look(self, seed: int) -> None:
        for key in np.random.default_rng(seed).integers(RESIDENTS, size=30).tolist():
            query = self.rows[key]
            best, everyone = self.index.search(query, k=5), self.index.above(query, -2.0)
            self.expect(best.certified and everyone.certified, "an answer came without proof")
            self.expect(best.hits[0].key == key, "the best was missed")
            seen = [hit.key for hit in everyone.hits]
            self.expect(len(seen) == len(set(seen)) == everyone.size, "a row was seen twice or not at all")
            self.expect({*range(RESIDENTS), CHANGELING} <= set(seen), "a row that stayed was missed")
            for hit in best.hits + everyone.hits[::10]:
                own = exact_scores(self.templates(hit.key), query).tolist()
                self.expect(hit.score in own, "a row answered with a score that is not its own")


@pytest.mark.parametrize(("scans_at_once", "filed"), [(1, False), (3, False), (3, True)])
def test_no_row_is_missed_while_others_move(
    make_scan: Callable[[int], Scan],
    faces: Callable[..., NDArray[np.float32]],
    hurried: None,
    scans_at_once: int,
    filed: bool,
    tmp_path: Path,
) -> None:
    scan, folder = make_scan(DIMENSION), tmp_path if filed else None
    index = ExactIndex(DIMENSION, scan=scan, scans_at_once=scans_at_once, chunk_rows=64, folder=folder)
    crowd = Crowd(index, faces(CHANGELING + 2, DIMENSION, photos=1))
    with ThreadPoolExecutor(7) as pool:
        writers = [pool.submit(crowd.come_and_go, seed) for seed in range(2)] + [pool.submit(crowd.change_face)]
        searchers = [pool.submit(crowd.look, seed) for seed in range(4)]
        try:
            for searcher in searchers:
                searcher.result()
        finally:
            crowd.over.set()
        for writer in writers:
            writer.result()
    assert crowd.faults == set()
    staying = {key for key in range(CHANGELING + 1) if key in index}
    assert {hit.key for hit in index.above(crowd.rows[0], -2.0).hits} == staying
