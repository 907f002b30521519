"""The figures of ``/metrics``, as a test compares them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from likeness.kit.metrics import write_metrics

Figures = dict[str, float]


def figures(text: str) -> Figures:
    """Give each value by its name and labels, such as ``name,label=value``. The labels are in alphabetical order."""
    return {
        sample.name + "".join(f",{label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def counting(read: Callable[[], Figures] = lambda: figures(write_metrics({}))) -> Iterator[Figures]:
    """Fill the given figures, at the end of the block, with what rose in it."""
    risen: Figures = {}
    before = read()
    yield risen
    risen.update({name: value - before.get(name, 0) for name, value in read().items() if value != before.get(name, 0)})
