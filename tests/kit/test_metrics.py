"""Prometheus' own parser reads what is written."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from likeness.kit import metrics
from likeness.kit.metrics import SECONDS, Count, Reading, RisingReading, Times, write_metrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def _own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", {})


def parsed(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_count_begins_at_zero_for_each_known_combination() -> None:
    count = Count("calls_total", "Calls.", {"kind": ("a", "b"), "done": ("yes", "no")})
    count.add("a", "no")
    count.add("a", "no", by=2)
    found = parsed(write_metrics({}))
    assert len(found) == 4
    assert found["calls_total", (("done", "no"), ("kind", "a"))] == 3
    assert sum(found.values()) == 3


def test_a_count_without_labels_is_there_from_the_start() -> None:
    count = Count("plain_total", "Plain.")
    assert parsed(write_metrics({})) == {("plain_total", ()): 0}
    count.add()
    assert parsed(write_metrics({})) == {("plain_total", ()): 1}


def test_a_label_with_unknown_values_has_none_at_first() -> None:
    count = Count("open_total", "Open.", {"route": ()})
    assert parsed(write_metrics({})) == {}
    count.add("/a")
    assert parsed(write_metrics({})) == {("open_total", (("route", "/a"),)): 1}


def test_a_duration_is_in_every_bucket_from_its_own_on() -> None:
    times = Times("work_seconds", "Work.", {"kind": ("a",)})
    for seconds in (0.0, SECONDS[0], 0.3, 99.0):
        times.add(seconds, "a")
    found = parsed(write_metrics({}))
    buckets = [found["work_seconds_bucket", (("kind", "a"), ("le", str(bound)))] for bound in ("0.001", "0.25", "0.5")]
    assert buckets == [2, 2, 3]
    assert found["work_seconds_bucket", (("kind", "a"), ("le", "10"))] == 3
    assert found["work_seconds_bucket", (("kind", "a"), ("le", "+Inf"))] == 4
    assert found["work_seconds_count", (("kind", "a"),)] == 4
    assert found["work_seconds_sum", (("kind", "a"),)] == pytest.approx(99.301)


def test_the_types_are_those_of_the_format() -> None:
    Count("a_total", "A.")
    Times("b_seconds", "B.")
    read = {Reading("c", "C."): 1.5, RisingReading("d_total", "D."): 7}
    families = {family.name: family for family in text_string_to_metric_families(write_metrics(read))}
    kinds = {name: (family.type, family.documentation) for name, family in families.items()}
    assert kinds == {
        "a": ("counter", "A."),
        "b_seconds": ("histogram", "B."),
        "c": ("gauge", "C."),
        "d": ("counter", "D."),
    }


def test_a_reading_without_a_value_is_left_out() -> None:
    one, other = Reading("one", "One.", {"state": ()}), Reading("other", "Other.")
    assert other.name == "other"
    text = write_metrics({one: {("up",): 1, ("down",): 0}})
    assert parsed(text) == {("one", (("state", "up"),)): 1, ("one", (("state", "down"),)): 0}
    assert "other" not in text


def test_a_value_of_a_label_cannot_break_out() -> None:
    hostile = 'a"} 1\nevil_total{x="\\'
    Count("calls_total", "Calls.", {"route": ()}).add(hostile)
    assert parsed(write_metrics({})) == {("calls_total", (("route", hostile),)): 1}


def test_threads_lose_no_count() -> None:
    count, times = Count("calls_total", "Calls."), Times("work_seconds", "Work.")

    def work() -> None:
        for _ in range(5000):
            count.add()
            times.add(0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = parsed(write_metrics({}))
    assert found["calls_total", ()] == 20_000
    assert found["work_seconds_count", ()] == 20_000
    assert found["work_seconds_sum", ()] == 10_000


def test_a_metric_is_made_once() -> None:
    Count("calls_total", "Calls.")
    with pytest.raises(AssertionError, match="calls_total"):
        Times("calls_total", "Calls.")
