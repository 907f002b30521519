"""Figures of the running process, in Prometheus' text format.

A module that counts or times something makes its ``Count`` or ``Times`` once, as it makes its logger. A ``Reading`` is
read only when somebody asks. No label may have a caller's text, a name of a tenant, or an id.
"""

import threading
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import ClassVar, Final

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of a histogram's buckets."""
Labels = Mapping[str, Iterable[str]]
"""The names of a metric's labels, each with the values that are known before. Empty values: others come, a few."""
LabelledValues = Mapping[tuple[str, ...], float]
"""A value for each combination of labels' values."""
Sample = tuple[str, Mapping[str, str], float]
"""The end of a line's name, its labels, and its value."""


class Metric:
    """A metric's name, its type, its meaning in a sentence, and its labels."""

    kind: ClassVar[str]

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        assert name not in METRICS, name
        self.name, self.meaning = name, meaning
        self.labels = {label: tuple(values) for label, values in (labels or {}).items()}
        METRICS[name] = self

    def _known(self) -> Iterator[tuple[str, ...]]:
        """Give the combinations of the known values. A rise from nothing would be seen by nobody, one from 0 is."""
        return product(*self.labels.values())

    def _named(self, values: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(self.labels, values, strict=True))


METRICS: Final[dict[str, Metric]] = {}
"""All metrics that the imported modules have, by name."""


class KeptMetric(Metric, ABC):
    """A metric whose values the process keeps. Thread-safe."""

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        super().__init__(name, meaning, labels)
        self._lock = threading.Lock()

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Give the present values."""


class Count(KeptMetric):
    """A number that only rises."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        super().__init__(name, meaning, labels)
        self._counts: dict[tuple[str, ...], int] = dict.fromkeys(self._known(), 0)

    def add(self, *values: str, by: int = 1) -> None:
        """Count one more, or ``by`` more, with these values of the labels."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + by

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            counts = dict(self._counts)
        for values, count in counts.items():
            yield "", self._named(values), count


class Times(KeptMetric):
    """Durations in seconds, as a histogram."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels | None = None) -> None:
        super().__init__(name, meaning, labels)
        self._buckets = {values: [0] * (len(SECONDS) + 1) for values in self._known()}
        self._sums: dict[tuple[str, ...], float] = dict.fromkeys(self._buckets, 0.0)

    def add(self, seconds: float, *values: str) -> None:
        """Add a duration, with these values of the labels."""
        place = bisect_left(SECONDS, seconds)
        with self._lock:
            if values not in self._buckets:
                self._buckets[values], self._sums[values] = [0] * (len(SECONDS) + 1), 0.0
            self._buckets[values][place] += 1
            self._sums[values] += seconds

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            found = [(values, tuple(buckets), self._sums[values]) for values, buckets in self._buckets.items()]
        for values, buckets, total in found:
            named, below = self._named(values), 0
            for bound, count in zip((*map(_number, SECONDS), "+Inf"), buckets, strict=True):
                below += count
                yield "_bucket", {**named, "le": bound}, below
            yield "_sum", named, total
            yield "_count", named, below


class Reading(Metric):
    """A value that is read when somebody asks for it."""

    kind = "gauge"

    def samples(self, read: float | LabelledValues) -> Iterator[Sample]:
        """Give the values that were read."""
        for each, value in (read if isinstance(read, Mapping) else {(): read}).items():
            yield "", self._named(each), value


class RisingReading(Reading):
    """A ``Reading`` that only rises."""

    kind = "counter"


def write_metrics(read: Mapping[Reading, float | LabelledValues]) -> str:
    """Give all metrics in Prometheus' text format 0.0.4. A reading without a value is left out."""
    lines: list[str] = []
    for metric in METRICS.values():
        if isinstance(metric, KeptMetric):
            samples = metric.samples()
        elif isinstance(metric, Reading) and metric in read:
            samples = metric.samples(read[metric])
        else:
            continue
        lines += (f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}")
        lines += (f"{metric.name}{end}{_labels(labels)} {_number(value)}" for end, labels, value in samples)
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
