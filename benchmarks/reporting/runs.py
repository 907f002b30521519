"""Benchmarks, each run in a process of its own, so that none inherits the memory and the threads of another."""

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from figures import Bars, Curves, Figure
from reporting.contents import Benchmark
from reporting.measurement import Section

FOLDER = Path(__file__).parents[1]
MOST_SECONDS = 900
SECONDS_TO_END = 60


def run(benchmark: Benchmark, *, quick: bool, most_seconds: float = MOST_SECONDS, folder: Path = FOLDER) -> Section:
    """Run a benchmark and read its figures; the section of one that fails says why."""
    arguments = benchmark.quick if quick else benchmark.full
    assert arguments is not None
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, (Path(scratch) / "errors").open("w+") as errors:
        found = Path(scratch) / "figures.json"
        command = [sys.executable, str(folder / f"{benchmark.name}.py"), *arguments, "--json", str(found)]
        process, late = subprocess.Popen(command, stderr=errors), ""
        try:
            process.wait(most_seconds)
        except subprocess.TimeoutExpired:
            end(process)
            late = f"it took longer than {most_seconds:g} s"
        seconds = time.monotonic() - began
        errors.seek(0)
        said = errors.read()
        print(said, end="", file=sys.stderr)
        named = benchmark.name, benchmark.title, benchmark.about, round(seconds, 1)
        if not found.exists():
            last = said.strip().splitlines()[-1:] or [f"it ended with status {process.returncode}"]
            return Section(*named, problem=late or last[0])
        return section_of(named, found.read_bytes())


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a benchmark, and let it end its own servers first."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def section_of(named: tuple[str, str, str, float], found: bytes) -> Section:
    """Read the JSON that a benchmark writes; all but its figures may be left out."""
    parts = _FOUND.validate_json(found)
    return Section(*named, parts.figures, parts.curves, parts.bars, parts.notes)


@dataclass(frozen=True, slots=True)
class _Found:
    figures: list[Figure]
    curves: list[Curves] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_FOUND = TypeAdapter(_Found)
