"""Recorded attempts in the measuring commands: their figures, and ``likeness calibrate-liveness``."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness import __version__
from likeness.cli.measuring.photos import CORES, Pack, check_outputs, load_pack, write_report
from likeness.cli.progress import progress_bar
from likeness.cli.tables import id_column
from likeness.errors import SetupError
from likeness.evaluation.liveness.recordings.measuring import RecordingsJob, header_of, replay_all, report_of
from likeness.evaluation.liveness.recordings.operating import LivenessPoint, choose_point, operating_points
from likeness.evaluation.liveness.recordings.recording import RecordingFolder
from likeness.evaluation.liveness.recordings.replay import ReplayedAttempt
from likeness.evaluation.report.liveness_page import render_liveness_report
from likeness.liveness.calibration import LivenessBasis, LivenessCalibration, MovedThresholds
from likeness.liveness.thresholds import THRESHOLDS, Thresholds

RecordingsKey = Annotated[
    Path | None, typer.Option(help="File of the recordings' key. By default DIR.key beside DIR.", show_default=False)
]
MeasuredThresholds = Annotated[
    Path | None,
    typer.Option(help="Judge by the thresholds in this file of `likeness calibrate-liveness`.", show_default=False),
]
WantedBpcer = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Choose the strictest thresholds with at most this BPCER, such as 0.03.", show_default=False
    ),
]
WantedApcer = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Choose the most permissive thresholds with at most this APCER for every kind of attack, such as 0.01.",
        show_default=False,
    ),
]
RecordingWorkers = Annotated[
    int, typer.Option(min=1, help="Number of processes.", show_default="the cores of this machine")
]


@dataclass(frozen=True, slots=True)
class RecordingsRequest:
    """The options that say which recordings to judge, and how."""

    folder: Path
    key: Path | None
    pack: str | None
    thresholds: Path | None
    bpcer: float | None
    apcer: float | None
    workers: int

    def check(self) -> None:
        """Raise SetupError for options that contradict each other."""
        if self.bpcer is not None and self.apcer is not None:
            raise SetupError("Give --bpcer or --apcer, not both: one rate decides the other.")


def evaluate_recordings(request: RecordingsRequest, *, json_file: Path | None, html_file: Path | None) -> None:
    """Judge all recordings again, print their rates, and write the files that are asked for. Raises SetupError."""
    request.check()
    console = Console()
    limits, attempts, pack = _replay(console, request)
    parts = [
        report_of(attempts, simulated=simulated, bpcer=request.bpcer, apcer=request.apcer)
        for simulated in (False, True)
        if any(one.label.simulated == simulated for one in attempts)
    ]
    report = header_of(pack, limits, datetime.now(UTC).date().isoformat()) | {"parts": parts}
    for part in parts:
        _print_part(console, part)
    if json_file:
        write_report(json_file, json.dumps(report, indent=2) + "\n")
        console.print(f"Numbers  {json_file}", markup=False)
    if html_file:
        write_report(html_file, render_liveness_report(report))
        console.print(f"Page     {html_file}", markup=False)


def calibrate_liveness(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Recordings of `likeness record`.")],
    *,
    out: Annotated[Path, typer.Option(help="Write the thresholds to this file.")],
    bpcer: WantedBpcer = None,
    apcer: WantedApcer = None,
    key: RecordingsKey = None,
    pack: Pack = None,
    workers: RecordingWorkers = CORES,
) -> None:
    """Choose the thresholds of the liveness signals on recordings.

    Judges every recording again. Then writes the thresholds that reach the
    wanted BPCER or APCER. The file states the recordings that it rests on,
    and the rates on them. A result of a session states the file's name.

    The server uses the file that LIKENESS_LIVENESS_THRESHOLDS names. The
    rates on the same recordings are too good: keep some apart, and measure
    them with `likeness evaluate-liveness --thresholds`.

    Recordings of people and of the simulator never decide together.

    Example: likeness calibrate-liveness recordings/ --bpcer 0.03 --out thresholds.json
    """
    request = RecordingsRequest(folder, key, pack, None, bpcer, apcer, workers)
    request.check()
    if bpcer is None and apcer is None:
        raise SetupError("Give the wanted rate: --bpcer or --apcer.")
    check_outputs(out)
    console = Console()
    if len({recording.label.simulated for recording in RecordingFolder.open(folder, key)}) > 1:
        raise SetupError(f"{folder} has recordings of people and of the simulator. Keep them in two folders.")
    _, attempts, pack_identity = _replay(console, request)
    point = choose_point(operating_points(attempts), bpcer=bpcer, apcer=apcer)
    calibration = LivenessCalibration(
        MovedThresholds(**point.thresholds), _basis(request, attempts, point, pack_identity)
    )
    calibration.write(out.resolve())
    for name, value in point.thresholds.items():
        console.print(f"{name:<18} {value:.4f}   built in {getattr(THRESHOLDS.signals, name):.4f}", highlight=False)
    console.print(f"BPCER {point.bpcer.rate:.1%}, APCER of the worst kind {point.worst:.1%}", highlight=False)
    console.print(f"{calibration.name} written to {out}", markup=False)
    if calibration.basis.simulated:
        console.print("[bold]SIMULATED[/]: these thresholds rest on no person and no real attack.")


def _replay(console: Console, request: RecordingsRequest) -> tuple[Thresholds, tuple[ReplayedAttempt, ...], str]:
    recordings = RecordingFolder.open(request.folder, request.key)
    limits = LivenessCalibration.read(request.thresholds).thresholds() if request.thresholds else THRESHOLDS
    load = partial(load_pack, request.pack)
    with progress_bar(console, transient=True) as progress:
        task = progress.add_task("recordings", total=len(recordings.files()))
        done = partial(progress.advance, task)
        attempts = replay_all(RecordingsJob(load, recordings, limits), workers=request.workers, on_done=done)
    return limits, attempts, load().pack.identity


def _basis(
    request: RecordingsRequest, attempts: tuple[ReplayedAttempt, ...], point: LivenessPoint, pack: str
) -> LivenessBasis:
    digests = hashlib.sha256()
    for path in RecordingFolder.open(request.folder, request.key).files():
        digests.update(hashlib.sha256(path.read_bytes()).digest())
    wanted = {"bpcer": request.bpcer, "apcer": request.apcer}
    return LivenessBasis(
        simulated=attempts[0].label.simulated,
        recordings=dict(sorted(Counter(one.label.kind for one in attempts).items())),
        subjects=len({one.label.subject for one in attempts}),
        data_sha256=digests.hexdigest(),
        pack=pack,
        product=f"likeness {__version__}",
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wanted={name: rate for name, rate in wanted.items() if rate is not None},
        bpcer=point.bpcer.as_json(),
        apcer={kind: errors.as_json() for kind, errors in point.apcer.items()},
    )


def _print_part(console: Console, part: Mapping[str, Any]) -> None:
    whose = "SIMULATED attempts" if part["simulated"] else "RECORDED attempts of people and attacks"
    table = Table(
        id_column("presentation"),
        "measure",
        "rate",
        "95 % interval",
        "no response",
        "95 % interval",
        "attempts",
        "signals that failed",
        title=f"{whose}, mode {', '.join(part['modes'])}",
        box=box.SIMPLE_HEAD,
    )
    for row in part["rates"]:
        failed = ", ".join(f"{name} {number}" for name, number in row["failedSignals"].items())
        table.add_row(
            row["kind"],
            row["measure"],
            f"{row['rate']:.1%}",
            show_interval(row["interval95"]),
            f"{row['nonResponseRate']:.1%}",
            show_interval(row["nonResponseInterval95"]),
            str(row["presentations"]),
            failed,
        )
    console.print(table)
    alike, comparable = part["replayedAlike"], part["replayedComparable"]
    console.print(f"{alike} of {comparable} recordings gave the same verdict, bit for bit.", highlight=False)
    if chosen := part["chosen"]:
        values = ", ".join(f"{name} {value:.4f}" for name, value in chosen["thresholds"].items())
        console.print(
            f"Operating point: {values}. BPCER {chosen['bpcer']['rate']:.1%}, "
            f"APCER of the worst kind {chosen['apcerOfWorstKind']:.1%}.",
            highlight=False,
        )
    if part["withoutPoint"]:
        console.print(part["withoutPoint"], highlight=False)
    if part["laboratory"]:
        console.print("Fewer than a laboratory presents: " + "; ".join(part["laboratory"]) + ".", highlight=False)


def show_interval(interval: Sequence[float]) -> str:
    """Format the ends of an interval of a rate as percentages."""
    low, high = interval
    return f"{100 * low:.1f}-{100 * high:.1f} %"
