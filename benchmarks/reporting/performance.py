"""docs/performance.md: its generated parts and its pictures, from the report that belongs to the last release."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import TARGET, Bars, Curves, Figure
from reporting.comparison import TOLERANCE
from reporting.drawings import alone, bars_svg, curves_svg, slug
from reporting.measurement import Change, Measurement, Section
from reporting.numbers import beside, mark, ratio, shown, target
from reporting.rows import rows_of

REPOSITORY = Path(__file__).parents[2]
LAST_RELEASE = REPOSITORY / "benchmarks" / "last_release.json"
PICTURES = REPOSITORY / "docs" / "performance"
WIDTH = 120


def publish(measurement: Measurement) -> None:
    """Make a report the last release's, and write the page from it."""
    measurement.write(LAST_RELEASE)
    subprocess.run([sys.executable, REPOSITORY / "scripts" / "write_docs.py"], check=True)


def parts(measurement: Measurement) -> dict[str, Callable[[], Iterator[str]]]:
    """Give the generated parts of the page, by their names."""
    return {
        "performance_run": lambda: _run(measurement),
        "performance_targets": lambda: _targets(measurement),
        "performance_slower": lambda: _slower(measurement),
        "performance_figures": lambda: _figures(measurement),
        "performance_notes": lambda: _notes(measurement),
    }


def pictures(measurement: Measurement) -> dict[str, str]:
    """Give the pictures of the page as SVG, by the names of their files."""
    plots = (plot for section in measurement.sections for plot in section.plots)
    return {_file(plot): alone(curves_svg(plot) if isinstance(plot, Curves) else bars_svg(plot)) for plot in plots}


def _file(plot: Curves | Bars) -> str:
    return f"{slug(plot.title)}.svg"


def _run(measurement: Measurement) -> Iterator[str]:
    machine = measurement.machine
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    kind = "quick" if measurement.quick else "full"
    yield f"- Likeness {measurement.version}, commit {measurement.commit or 'unknown'}, {measurement.measured_at}."
    yield f"- A {kind} run of {shown(measurement.seconds / 60)} minutes."
    yield from _item(
        f"{machine.processor}{features}, {machine.cores} cores, {shown(machine.memory_gib)} GiB, {machine.system}."
    )
    yield f"- Load before the run: {shown(machine.load)} on {machine.cores} cores."
    yield from _item(", ".join(f"{package} {version}" for package, version in measurement.versions.items()) + ".")


def _item(text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield ("  " if number else "- ") + line


def _targets(measurement: Measurement) -> Iterator[str]:
    held, missed = len(measurement.held), measurement.missed
    yield f"{held - len(missed)} of {held} targets are met."
    if missed:
        yield ""
        yield "| missed | value | target |"
        yield "| --- | --: | --- |"
    for section, figure in missed:
        value = ratio(figure) if figure.to != TARGET else f"{shown(figure.value)} {figure.unit}".strip()
        peer = f", beside {figure.to}" if figure.to not in {TARGET, ""} else ""
        yield f"| {section.title}: {figure.name}{peer} | {value} | {target(figure)} |"


def _slower(measurement: Measurement) -> Iterator[str]:
    since = measurement.since
    if since is None:
        yield "There is no earlier release to compare with."
        return
    yield f"{since.compared} ratios were compared with those of {since.version} ({since.measured_at})."
    if not since.same_machine:
        yield "That release was measured on another kind of machine, so ratios to fixed targets were left out."
    share = f"{TOLERANCE:.0%}".replace("%", " %")
    yield f"{len(since.slower)} are worse by more than {share}, and {len(since.faster)} are better by as much."
    if since.slower:
        yield ""
        yield from _changes(since.slower)


def _changes(changes: list[Change]) -> Iterator[str]:
    yield "| slower | beside | ratio then | ratio now |"
    yield "| --- | --- | --: | --: |"
    for change in changes:
        yield f"| {change.section}: {change.figure} | {change.to} | {shown(change.before)}x | {shown(change.now)}x |"


def _figures(measurement: Measurement) -> Iterator[str]:
    for section in measurement.sections:
        yield f"### {section.title}"
        yield ""
        yield section.about
        for plot in section.plots:
            yield ""
            yield f"![{plot.title}](performance/{_file(plot)})"
        yield ""
        yield from _table(section)
        yield ""


def _table(section: Section) -> Iterator[str]:
    """Give a table of the figures that have a ratio or a target; the report has the others, too."""
    if section.problem:
        yield f"It failed: {section.problem}"
        return
    yield "| figure | Likeness | beside | ratio | target |"
    yield "| --- | --: | --- | --: | --- |"
    for row in rows_of([figure for figure in section.figures if figure.ratio is not None or figure.ok is not None]):
        first = f"{row.name} | {shown(row.value)} {row.unit}".strip()
        for figure in row.figures:
            yield f"| {first} | {beside(figure)} | {ratio(figure)} | {_goal(figure)} |"
            first = " | "


def _goal(figure: Figure) -> str:
    return f"{target(figure)} {mark(figure)}".strip()


def _notes(measurement: Measurement) -> Iterator[str]:
    notes = [note for section in measurement.sections for note in section.notes]
    if not notes:
        yield "Nothing was left out."
    for note in dict.fromkeys(notes):
        yield from _item(note)
