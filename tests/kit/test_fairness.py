from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from likeness.kit.fairness import BACKGROUND, FairQueue, Shares

Queue = FairQueue[tuple[str, int]]
OWNERS = st.sampled_from("abc")


def queue_of(*owners: str) -> Queue:
    queue: Queue = FairQueue()
    for number, owner in enumerate(owners):
        queue.put(owner, (owner, number))
    return queue


def served(queue: Queue, count: int) -> str:
    popped = [queue.pop() for _ in range(count)]
    return "".join(item[0] for item in popped if item)


def test_one_owners_flood_leaves_the_turns_of_another() -> None:
    queue = queue_of(*"a" * 50, *"bb")
    assert served(queue, 4).count("b") == 2


def test_who_comes_late_does_not_wait_for_those_who_came_before() -> None:
    queue = queue_of(*"a" * 50)
    served(queue, 20)
    queue.put("b", ("b", 0))
    queue.put("b", ("b", 1))
    assert served(queue, 2) == "bb"  # both photos of a match, one after the other


def test_who_was_away_has_saved_no_turns() -> None:
    queue = queue_of(*"a" * 50)
    served(queue, 20)
    for number in range(20):
        queue.put("b", ("b", number))
    assert Counter(served(queue, 20))["a"] >= 9


def test_work_that_nobody_waits_for_has_one_turn_in_nine() -> None:
    queue = queue_of(*"a" * 100)
    for number in range(100):
        queue.put(BACKGROUND, (BACKGROUND[0], number))
    assert 10 <= Counter(served(queue, 90))["b"] <= 11


@given(st.lists(OWNERS | st.none()))
def test_nothing_is_lost_and_an_owners_own_work_keeps_its_order(steps: list[str | None]) -> None:
    queue: Queue = FairQueue()
    waiting: dict[str, list[int]] = {owner: [] for owner in "abc"}
    number = 0
    for owner in steps:
        if owner is None:
            popped = queue.pop()
            assert (popped is None) == (not any(waiting.values()))
            if popped:
                assert waiting[popped[0]].pop(0) == popped[1]
        else:
            queue.put(owner, (owner, number))
            waiting[owner].append(number)
            number += 1


@given(st.integers(2, 30), st.integers(1, 40))
def test_two_who_always_have_work_waiting_get_the_same(depth_a: int, depth_b: int) -> None:
    queue = queue_of(*"a" * depth_a, *"b" * depth_b)
    got: Counter[str] = Counter()
    for _ in range(200):
        popped = queue.pop()
        assert popped
        owner, _ = popped
        got[owner] += 1
        queue.put(owner, (owner, 0))
    if depth_b > 1:
        assert abs(got["a"] - got["b"]) <= 1


def test_a_lone_owner_may_have_three_quarters_and_a_newcomer_finds_a_place() -> None:
    slots = Shares(16)
    assert [slots.take("a") for _ in range(16)].count(True) == 12
    assert slots.take("b")
    assert slots.take("c")


def test_shares_become_even_as_those_who_have_much_give_back() -> None:
    slots = Shares(16)
    held: Counter[str] = Counter()
    for _ in range(16):
        held["a"] += slots.take("a")
    for _ in range(100):  # both always want more, and one place after another is given back
        owner = max(held, key=held.__getitem__)
        slots.give_back(owner)
        held[owner] -= 1
        for wanting in "ab":
            held[wanting] += slots.take(wanting)
    assert abs(held["a"] - held["b"]) <= 2
    assert held.total() >= 12


def test_a_single_place_is_taken_and_given_back() -> None:
    slots = Shares(1)
    assert slots.take("a")
    assert not slots.take("b")
    slots.give_back("a")
    assert slots.take("b")


@given(st.lists(st.tuples(OWNERS, st.integers(0, 9)), max_size=60))
def test_what_is_taken_comes_back(wishes: list[tuple[str, int]]) -> None:
    shares = Shares(20)
    taken = [(owner, amount) for owner, amount in wishes if shares.take(owner, amount)]
    assert shares.free == 20 - sum(amount for _, amount in taken) >= 0
    for owner, amount in taken:
        shares.give_back(owner, amount)
    assert shares.free == 20
    assert shares.take("a", 20)
