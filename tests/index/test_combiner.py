"""Queries that wait together are answered together, and each gets its own answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest

from likeness.index.combiner import Combiner


def test_a_lone_query_is_answered_alone() -> None:
    batches: list[list[int]] = []

    def double(queries: Sequence[int]) -> list[int]:
        batches.append(list(queries))
        return [query * 2 for query in queries]

    combiner = Combiner(double)
    assert [combiner(number) for number in range(3)] == [0, 2, 4]
    assert batches == [[0], [1], [2]]


class Gate:
    """Answers with the query itself. The first batch waits until the gate opens."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered, self.opened = Event(), Event()

    def __call__(self, queries: Sequence[int]) -> list[int]:
        self.batches.append(sorted(queries))
        self.entered.set()
        assert self.opened.wait(10)
        return list(queries)


def queue_behind(gate: Gate, combiner: Combiner[int, int], count: int) -> list[int]:
    """Send one query, then ``count`` more that have to wait. Give their answers."""
    with ThreadPoolExecutor(count + 1) as pool:
        answers = [pool.submit(combiner, 0)]
        assert gate.entered.wait(10)
        answers += [pool.submit(combiner, number) for number in range(1, count + 1)]
        while len(combiner._waiting) < count:
            pass
        gate.opened.set()
        return [answer.result() for answer in answers]


def test_queries_that_wait_share_the_next_batch() -> None:
    gate = Gate()
    combiner = Combiner(gate)
    assert queue_behind(gate, combiner, 7) == list(range(8))
    assert gate.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_a_batch_has_a_largest_size() -> None:
    gate = Gate()
    combiner = Combiner(gate, most=3)
    assert queue_behind(gate, combiner, 7) == list(range(8))
    assert [len(batch) for batch in gate.batches] == [1, 3, 3, 1]


def test_batches_run_side_by_side_when_allowed() -> None:
    both, seen = Event(), []

    def answer(queries: Sequence[int]) -> Sequence[int]:
        seen.append(queries)
        if len(seen) == 2:
            both.set()
        assert both.wait(10)
        return queries

    combiner = Combiner(answer, at_once=2)
    threads = [Thread(target=combiner, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, seen)) == [1, 1]


def test_everyone_of_a_failing_batch_learns_of_it_and_the_next_goes_on() -> None:
    gate = Gate()

    def fail(queries: Sequence[int]) -> Sequence[int]:
        gate(queries)
        if 1 in queries:
            raise MemoryError
        return queries

    combiner = Combiner(fail, most=2)
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(combiner, 0)]
        assert gate.entered.wait(10)
        for number in range(1, 4):
            answers.append(pool.submit(combiner, number))
            while len(combiner._waiting) < number:
                pass
        gate.opened.set()
    assert [type(answer.exception()) for answer in answers] == [type(None), MemoryError, MemoryError, type(None)]
    assert combiner(9) == 9


def test_many_threads_get_their_own_answers() -> None:

    def next_of(queries: Sequence[int]) -> list[int]:
        return [query + 1 for query in queries]

    combiner = Combiner(next_of, at_once=2)

    def ask(start: int) -> bool:
        return all(combiner(number) == number + 1 for number in range(start, start + 300))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(0, 8000, 1000)))


def test_an_answer_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="argument"):
        Combiner[int, int](lambda queries: queries[1:])(1)
