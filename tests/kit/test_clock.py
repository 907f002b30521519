import time

from likeness.kit.clock import MovableClock, SystemClock


def test_the_system_clock_tells_the_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_a_movable_clock_stands_still() -> None:
    clock = MovableClock(5)
    assert (clock.now(), clock.now()) == (5, 5)
    clock.move(2.5)
    assert clock.now() == 7.5
