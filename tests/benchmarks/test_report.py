from dataclasses import replace
from pathlib import Path

import pytest

import report
from benchmarks.small_reports import small_report
from reporting.contents import Benchmark
from reporting.measurement import Measurement, Section

WHOLE, FAILED = small_report().sections


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that reports are written to; the last release's is there, too."""
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "LAST_RELEASE", tmp_path / "last_release.json")
    return tmp_path


def run_main(monkeypatch: pytest.MonkeyPatch, found: Section, *arguments: str) -> tuple[int, list[Measurement]]:
    """Make a report whose benchmarks all find this; gives its status, and the reports that were published."""

    def run(benchmark: Benchmark, *, quick: bool) -> Section:
        return replace(found, name=benchmark.name)

    published: list[Measurement] = []
    monkeypatch.setattr(report, "run", run)
    monkeypatch.setattr(report, "publish", published.append)
    monkeypatch.setattr("sys.argv", ["report.py", *arguments])
    return report.main(), published


def test_a_report_is_written_and_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, published = run_main(monkeypatch, WHOLE, "--quick", "--publish")
    assert (status, len(published)) == (0, 1)
    assert Measurement.read(folder / "report.json") == published[0]
    assert "Time against size" in (folder / "report.html").read_text()


def test_a_report_with_a_failed_benchmark_is_not_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, FAILED, "--publish") == (1, [])
    assert (folder / "report.html").exists()


def test_a_part_of_a_report_is_not_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        run_main(monkeypatch, WHOLE, "--only", "search", "--publish")


def test_a_quick_run_leaves_out_long_benchmarks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for arguments in ([], ["--quick"]):
        run_main(monkeypatch, WHOLE, *arguments)
        names.append([section.name for section in Measurement.read(folder / "report.json").sections])
    assert set(names[1]) < set(names[0])


@pytest.mark.parametrize(
    ("before", "now", "compared"),
    [(True, True, True), (True, False, False), (False, True, True), (False, False, True)],
)
def test_a_full_run_is_not_compared_with_a_quick_one(folder: Path, before: bool, now: bool, compared: bool) -> None:
    assert report.comparable(small_report()) is None
    replace(small_report(), quick=before).write(folder / "last_release.json")
    assert bool(report.comparable(replace(small_report(), quick=now))) == compared
