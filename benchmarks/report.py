"""All benchmarks in one report: benchmarks/report.html and benchmarks/report.json.

    python benchmarks/report.py [--quick] [--only NAME ...] [--publish]

It compares its ratios with those of benchmarks/last_release.json, and says what became slower. ``--publish`` puts it in the
place of that file, and writes docs/performance.md and its pictures from it.
"""

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from likeness import __version__
from reporting.comparison import compare
from reporting.contents import BENCHMARKS, Benchmark
from reporting.machine import commit, this_machine, versions
from reporting.measurement import Measurement
from reporting.page import render_page
from reporting.performance import LAST_RELEASE, publish
from reporting.runs import run

FOLDER = Path(__file__).parent


def measure(benchmarks: list[Benchmark], *, quick: bool) -> Measurement:
    """Run the benchmarks, one after the other."""
    console, began = Console(width=160), time.monotonic()
    machine, started = this_machine(), datetime.now(UTC)
    sections = []
    for number, benchmark in enumerate(benchmarks, 1):
        console.rule(f"{number} of {len(benchmarks)}: {benchmark.title}")
        sections.append(run(benchmark, quick=quick))
    return Measurement(
        version=__version__,
        commit=commit(),
        measured_at=f"{started:%Y-%m-%d %H:%M} UTC",
        quick=quick,
        seconds=round(time.monotonic() - began, 1),
        machine=machine,
        versions=versions(),
        sections=sections,
    )


def comparable(measurement: Measurement) -> Measurement | None:
    """Give the last release's report, where this one can be compared with it: a full run is not, with a quick one."""
    before = Measurement.read(LAST_RELEASE) if LAST_RELEASE.exists() else None
    return None if before and before.quick and not measurement.quick else before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="few repetitions and small galleries; within three minutes"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these benchmarks")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write docs/performance.md and benchmarks/last_release.json, unless a benchmark fails",
    )
    options = parser.parse_args()
    if options.only and options.publish:
        parser.error("a report of some benchmarks alone cannot be published")
    chosen = [benchmark for benchmark in BENCHMARKS if not options.quick or benchmark.quick is not None]
    if options.only:
        chosen = [benchmark for benchmark in BENCHMARKS if benchmark.name in options.only]
    measurement = measure(chosen, quick=options.quick)
    if before := comparable(measurement):
        measurement = replace(measurement, since=compare(measurement, before))
    measurement.write(FOLDER / "report.json")
    (FOLDER / "report.html").write_text(render_page(measurement))
    failed = any(section.problem for section in measurement.sections)
    if options.publish and not failed:
        publish(measurement)
    summarise(measurement)
    return 1 if failed else 0


def summarise(measurement: Measurement) -> None:
    """Print the targets that are missed, and the ratios that became worse."""
    held, missed = len(measurement.held), measurement.missed
    print(f"{held - len(missed)} of {held} targets are met, in {measurement.seconds:.0f} s.")
    for section, figure in missed:
        print(f"  missed: {section.title}: {figure.name}: {figure.value:.4g} {figure.unit} ({figure.target})")
    for section in measurement.sections:
        if section.problem:
            print(f"  failed: {section.title}: {section.problem}")
    if since := measurement.since:
        print(f"{len(since.slower)} of {since.compared} ratios are worse than those of {since.version}.")
        for change in since.slower:
            print(f"  slower: {change.section}: {change.figure} ({change.to}): {change.before:.3g} -> {change.now:.3g}")
    print(f"The report: {FOLDER / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
