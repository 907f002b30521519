import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import TooManyRequests
from likeness.kit.clock import MovableClock
from likeness.web import quota
from likeness.web.quota import CallsAtOnce, Quota


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-5, 90, allow_nan=False)), max_size=60),
)
def test_each_owner_has_a_minutes_calls_and_gets_them_back_evenly(limit: int, calls: list[tuple[str, float]]) -> None:
    clock = MovableClock(1_000_000.0)
    bucket = Quota("client", limit, clock)
    made: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    latest = clock.now()
    for owner, pause in calls:
        clock.move(pause)
        latest = max(latest, clock.now())
        refusal: TooManyRequests | None = None
        try:
            bucket.take(owner)
            made[owner].append(latest)
        except TooManyRequests as error:
            refusal = error
        assert refusal is None or made[owner], "the first call is always allowed"
        assert refusal is None or 1 <= int(refusal.headers["Retry-After"]) <= 60 / limit + 1
        in_last_minute = [moment for moment in made[owner] if moment > latest - 60]
        assert len(in_last_minute) <= 2 * limit


def test_a_refused_caller_that_waits_as_told_is_let_in() -> None:
    clock = MovableClock(1_000_000.0)
    bucket = Quota("tenant", 90, clock)
    for _ in range(90):
        bucket.take("a")
    with pytest.raises(TooManyRequests) as refused:
        bucket.take("a")
    assert refused.value.headers == {
        "Retry-After": "1",
        "RateLimit-Policy": '"tenant";q=90;w=60',
        "RateLimit": '"tenant";r=0;t=1',
    }
    bucket.take("b")
    clock.move(1)
    bucket.take("a")
    with pytest.raises(TooManyRequests):
        bucket.take("a")
    clock.move(3600)
    for _ in range(90):
        bucket.take("a")
    with pytest.raises(TooManyRequests):
        bucket.take("a")


def test_few_owners_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "TRACKED", 3)
    clock = MovableClock(1_000_000.0)
    bucket = Quota("client", 1, clock)
    for owner in ("a", "b", "c"):
        bucket.take(owner)
    clock.move(60)
    bucket.take("d")
    assert set(bucket._left) == {"d"}
    with pytest.raises(TooManyRequests):
        bucket.take("d")


def test_no_limit_lets_everything_through() -> None:
    bucket = Quota("client", 0, MovableClock())
    for _ in range(1000):
        bucket.take("a")


def test_a_tenant_has_some_calls_at_once() -> None:
    calls = CallsAtOnce(2)
    first, _second = calls.enter("a"), calls.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        calls.enter("a")
    assert refused.value.headers["RateLimit-Policy"] == '"calls-at-once";q=2;qu="concurrent-requests"'
    calls.enter("b")
    first()
    calls.enter("a")
    with pytest.raises(TooManyRequests):
        calls.enter("a")
