import json
from pathlib import Path

import pytest

from benchmarks.small_reports import small_report
from reporting.contents import BENCHMARKS, Benchmark
from reporting.measurement import Measurement
from reporting.runs import FOLDER, run

BENCHMARK = Benchmark("small", "Small", "A small one.")
WRITES = "import json, pathlib, sys\npathlib.Path(sys.argv[-1]).write_text(json.dumps({found!r}))\nsys.exit({status})\n"
FIGURE = {"name": "a", "value": 1.5, "unit": "ms", "target": "<= 1", "ok": False}


def program(folder: Path, text: str) -> Path:
    (folder / "small.py").write_text(text)
    return folder


def test_a_benchmark_is_read_though_it_misses_a_target(tmp_path: Path) -> None:
    section = run(BENCHMARK, quick=True, folder=program(tmp_path, WRITES.format(found={"figures": [FIGURE]}, status=1)))
    assert (section.title, section.problem) == ("Small", "")
    assert [(figure.name, figure.value, figure.ok, figure.ratio) for figure in section.figures] == [
        ("a", 1.5, False, None)
    ]


def test_a_benchmark_that_fails_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    section = run(BENCHMARK, quick=True, folder=program(tmp_path, "raise SystemExit('no photos here')"))
    assert (section.figures, section.problem) == ([], "no photos here")
    assert "no photos here" in capfd.readouterr().err


def test_a_benchmark_that_does_not_end_is_ended(tmp_path: Path) -> None:
    section = run(BENCHMARK, quick=True, most_seconds=0.5, folder=program(tmp_path, "import time\ntime.sleep(600)"))
    assert section.problem == "it took longer than 0.5 s"


def test_quick_and_full_runs_get_their_own_arguments(tmp_path: Path) -> None:
    program(tmp_path, "import sys\nsys.exit(' '.join(sys.argv[1:-2]))")
    benchmark = Benchmark("small", "Small", "A small one.", full=("--sizes", "3"), quick=("--quick",))
    assert [run(benchmark, quick=quick, folder=tmp_path).problem for quick in (True, False)] == ["--quick", "--sizes 3"]


def test_every_benchmark_is_in_the_list() -> None:
    programs = {path.stem for path in FOLDER.glob("*.py") if '"--json"' in path.read_text()}
    assert {benchmark.name for benchmark in BENCHMARKS} == programs


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    small_report().write(tmp_path / "report.json")
    assert Measurement.read(tmp_path / "report.json") == small_report()
    assert json.loads((tmp_path / "report.json").read_text())["sections"][0]["name"] == "search"
