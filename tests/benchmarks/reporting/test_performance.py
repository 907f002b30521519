import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.small_reports import MACHINE, small_report, times_ratio
from reporting.comparison import compare
from reporting.measurement import Measurement
from reporting.performance import LAST_RELEASE, parts, pictures

REPOSITORY = Path(__file__).parents[3]
REPORT = small_report()


def told(measurement: Measurement, part: str) -> str:
    return "\n".join(parts(measurement)[part]())


def test_the_run_is_shown_with_its_machine() -> None:
    run = told(REPORT, "performance_run")
    assert "commit abc, 2026-01-02 03:04 UTC" in run
    assert "A quick run of 1.5 minutes" in run
    assert f"{MACHINE.processor} (avx512_vnni), 2 cores, 16 GiB" in run


def test_targets_that_are_missed_are_named() -> None:
    targets = told(REPORT, "performance_targets")
    assert targets.startswith("1 of 2 targets are met.")
    assert "| 1:N search: the whole | 20 ms | ≤ 15 |" in targets


def test_a_table_has_one_row_for_each_peer() -> None:
    lines = told(REPORT, "performance_figures").splitlines()
    first = lines.index("| 10 x 4: a search | 2.1 ms | a & b: 9 | 4.5x |  |")
    assert lines[first + 1] == "|  |  | c: 1.1 | 0.5x |  |"
    assert "| rows | 200,000 /s |  | 2x | ≥ 100,000 met |" in lines
    assert not [line for line in lines if "recall" in line]  # compared with nothing
    assert "It failed: the disk is <full>" in lines


def test_pictures_of_the_table_are_those_that_are_drawn() -> None:
    named = [line for line in told(REPORT, "performance_figures").splitlines() if line.startswith("![")]
    assert named == ["![Time against size](performance/time-against-size.svg)", "![Stages](performance/stages.svg)"]
    assert list(pictures(REPORT)) == ["time-against-size.svg", "stages.svg"]


@pytest.mark.parametrize(
    ("before", "slower"),
    [
        (None, "no earlier release"),
        (1.0, "0 are worse by more than 15 %, and 0 are better"),
        (2.0, "| 1:N search: rows |"),
    ],
)
def test_worse_ratios_are_listed(before: float | None, slower: str) -> None:
    since = compare(REPORT, times_ratio(REPORT, before)) if before else None
    assert slower in told(replace(REPORT, since=since), "performance_slower")


def test_a_note_is_shown_once() -> None:
    twice = replace(REPORT, sections=REPORT.sections * 2)
    assert told(twice, "performance_notes") == "- d: not here."


def test_inserting_the_parts_twice_changes_nothing() -> None:
    written: Callable[[str], str] = runpy.run_path(str(REPOSITORY / "scripts" / "write_docs.py"))["written"]
    once = written("# A page\n\n<!-- generated: performance_run -->\n<!-- end -->\n\nMore.\n")
    assert Measurement.read(LAST_RELEASE).measured_at in once
    assert once.endswith("<!-- end -->\n\nMore.\n")
    assert written(once) == once
