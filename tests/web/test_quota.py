from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import TooManyRequests
from likeness.kit.clock import MovableClock
from likeness.web.quota import WINDOW_SECONDS, Quota


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 90, allow_nan=False)), max_size=60),
)
def test_in_every_minute_each_caller_has_its_calls_and_no_more(limit: int, calls: list[tuple[str, float]]) -> None:
    clock = MovableClock(1_000_000.0)
    quota = Quota(limit, clock)
    made: Counter[tuple[str, int]] = Counter()
    for caller, pause in calls:
        clock.move(pause)
        minute = (caller, int(clock.now() // WINDOW_SECONDS))
        if made[minute] < limit:
            quota.take(caller)
            made[minute] += 1
        else:
            with pytest.raises(TooManyRequests) as refused:
                quota.take(caller)
            wait = int(refused.value.headers["Retry-After"])
            assert (clock.now() + wait) // WINDOW_SECONDS == minute[1] + 1


def test_no_limit_lets_everything_through() -> None:
    quota = Quota(0, MovableClock())
    for _ in range(1000):
        quota.take("a")
