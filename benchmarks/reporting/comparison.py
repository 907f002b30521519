"""The ratios that became worse since an earlier report.

Times are not compared, only ratios: one run measured both parts of a ratio in turns. A ratio to a fixed target is a time in other words,
so it is compared only if both machines are of the same kind.
"""

from collections.abc import Iterator

from figures import TARGET
from reporting.measurement import Change, Comparison, Measurement

TOLERANCE = 0.15
"""The share by which a ratio may differ without being reported. On a shared machine, two runs differ by as much."""


def compare(now: Measurement, before: Measurement) -> Comparison:
    """Compare the ratios that both reports have; those that changed most come first."""
    same_machine = now.machine.compares_with(before.machine)
    changes = list(_changes(now, before, same_machine=same_machine))
    slower = [change for change in changes if change.share < 1 - TOLERANCE]
    faster = [change for change in changes if change.share > 1 / (1 - TOLERANCE)]
    return Comparison(
        before.version,
        before.commit,
        before.measured_at,
        len(changes),
        same_machine,
        sorted(slower, key=lambda change: change.share),
        sorted(faster, key=lambda change: -change.share),
    )


def _changes(now: Measurement, before: Measurement, *, same_machine: bool) -> Iterator[Change]:
    earlier = _ratios(before)
    for key, ratio in _ratios(now).items():
        if key in earlier and (same_machine or key[2] != TARGET):
            yield Change(*key, earlier[key], ratio)


def _ratios(measurement: Measurement) -> dict[tuple[str, str, str], float]:
    return {
        (section.title, figure.name, figure.to): figure.ratio
        for section in measurement.sections
        for figure in section.figures
        if figure.ratio is not None
    }
