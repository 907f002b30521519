"""Small reports, as benchmarks write them."""

from dataclasses import replace

from figures import TARGET, Bars, Curves, Figure
from reporting.measurement import Machine, Measurement, Section

MACHINE = Machine("A processor <of> 2 cores", ["avx512_vnni"], 2, 16.0, "Linux 6.1", 0.1)
CURVES = Curves(
    "Time against size",
    "templates",
    "ms",
    {"Likeness": [(1000, 0.1), (10_000, 0.4), (100_000, 3.0)], "a & b": [(1000, 0.05), (10_000, 1.0), (100_000, 9.0)]},
    logarithmic=True,
)
BARS = Bars("Stages", "ms", {"Likeness": {"find": 2.0, "embed": 9.0}, "another": {"find": 40.0, "embed": 60.0}})


def beside(name: str, value: float, peer: str, reference: float) -> Figure:
    return Figure(name, value, "ms", "", None, reference / value, peer, reference)


FIGURES = [
    beside("10 x 4: a search", 2.0, "a & b", 9.0),
    Figure("10 x 4: recall", 1.0, ""),
    beside("10 x 4: a search", 2.2, "c", 1.1),
    Figure("the whole", 20.0, "ms", "<= 15", False, 0.75, TARGET, 15.0),
    Figure("rows", 200_000.0, "/s", ">= 100000", True, 2.0, TARGET, 100_000.0),
]


def small_report(*figures: Figure) -> Measurement:
    section = Section(
        "search", "1:N search", "A search.", 1.5, list(figures or FIGURES), [CURVES], [BARS], ["d: not here."]
    )
    failed = Section("store", "Enrolment", "An insert.", 0.5, problem="the disk is <full>")
    return Measurement(
        "0.1.0",
        "abc",
        "2026-01-02 03:04 UTC",
        quick=True,
        seconds=90.0,
        machine=MACHINE,
        versions={},
        sections=[section, failed],
    )


def times_ratio(measurement: Measurement, factor: float) -> Measurement:
    """Give the same report with all ratios that many times as high."""

    def changed(figure: Figure) -> Figure:
        return replace(figure, ratio=None if figure.ratio is None else figure.ratio * factor)

    sections = [
        replace(section, figures=[changed(figure) for figure in section.figures]) for section in measurement.sections
    ]
    return replace(measurement, sections=sections)
