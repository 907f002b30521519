"""``likeness evaluate-liveness``."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness.cli.measuring.photos import Pack, check_outputs, load_pack, write_report
from likeness.cli.measuring.recordings import (
    MeasuredThresholds,
    RecordingsKey,
    RecordingsRequest,
    WantedApcer,
    WantedBpcer,
    evaluate_recordings,
    show_interval,
)
from likeness.cli.progress import progress_bar
from likeness.cli.tables import id_column
from likeness.errors import SetupError
from likeness.evaluation.liveness.photos import ModelRates, measure_photos, photos_in
from likeness.evaluation.liveness.rates import PresentationRates
from likeness.evaluation.liveness.recordings.recording import RecordingFolder, holds_recordings
from likeness.evaluation.liveness.sessions import KINDS, Plan, people_in, simulate_all, tally_all
from likeness.liveness.attempt.script import LivenessMode
from likeness.liveness.thresholds import THRESHOLDS

OPEN_ATTACKS = (
    "a three-dimensional mask of the victim's face",
    "a face synthesised in real time and injected through a patched browser, driver or camera",
    "a sheet bent in two directions, or a relief print",
    "a look-alike who replaces the person during the attempt, as often as level 4 takes two people for one",
    "a display that reflects the colours as a face does",
)
"""Attacks that the signals are not claimed to detect. docs/liveness.md gives the reasons."""


def evaluate_liveness(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Recordings of `likeness record`. Or people to simulate: a frontal photo or a folder of photos for "
            "each. Of a folder, the first photo is used.",
            show_default=False,
        ),
    ] = None,
    *,
    pack: Pack = None,
    attempts: Annotated[int, typer.Option(min=1, help="Simulated attempts of each kind.")] = 100,
    mode: Annotated[LivenessMode, typer.Option(help="The liveness mode to measure.")] = LivenessMode.ACTIVE,
    flash: Annotated[
        bool, typer.Option(help="Show colours, or simulate the session without them for photosensitive people.")
    ] = True,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Simulate only this kind. Repeat the option for several. Kinds: {', '.join(KINDS)}.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives other people, rooms, cameras and challenges.")] = 1,
    real: Annotated[
        Path | None,
        typer.Option(
            help="Folder of real photos of live people, to measure the pack's passive models.", show_default=False
        ),
    ] = None,
    fake: Annotated[
        Path | None, typer.Option(help="Folder of real photos of attacks, for the same purpose.", show_default=False)
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the simulated attempts as recordings in this folder.", show_default=False),
    ] = None,
    key: RecordingsKey = None,
    thresholds: MeasuredThresholds = None,
    bpcer: WantedBpcer = None,
    apcer: WantedApcer = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option("--html", help="Write the figures of recordings as a page to this file.", show_default=False),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of processes.", show_default="the cores of this machine")
    ] = os.cpu_count() or 1,
) -> None:
    """Measure presentation attack detection: APCER for each kind of attack, and BPCER (ISO/IEC 30107-3).

    With recordings, the command judges each of them again, by the code
    that judges live attempts. --bpcer or --apcer chooses an operating
    point: thresholds that reach this rate.

    With photos, the command simulates attempts from them: live people,
    and attacks on them, in front of simulated cameras. With --real and
    --fake, it measures the pack's passive models on real photos. The
    results are separate. A simulation shows how the signals behave under
    its assumptions, not how real people and attackers behave. Ctrl-C ends
    a long run and prints the rates of the attempts so far.

    Example: likeness evaluate-liveness recordings/ --bpcer 0.03 --html report.html

    Example: likeness evaluate-liveness faces/ --attempts 500 --json liveness.json
    """
    check_outputs(json_file, html_file)
    if folder is not None and holds_recordings(folder):
        request = RecordingsRequest(folder, key, pack, thresholds, bpcer, apcer, workers)
        evaluate_recordings(request, json_file=json_file, html_file=html_file)
        return
    if html_file or thresholds or bpcer is not None or apcer is not None:
        raise SetupError("--html, --thresholds, --bpcer and --apcer need a folder of recordings.")
    portraits = folder
    if portraits is None and (real is None or fake is None):
        raise SetupError("Give a folder of portraits to simulate attempts, or --real and --fake with photos, or both.")
    if (real is None) != (fake is None):
        raise SetupError("--real and --fake go together: photos of live people, and photos of attacks.")
    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise SetupError(f"There is no kind {', '.join(unknown)}. Kinds: {', '.join(KINDS)}.")
    sources = (photos_in(real), photos_in(fake)) if real is not None and fake is not None else None
    console = Console()
    report: dict[str, object] = {}
    missing = 0
    if portraits is not None:
        plan = Plan(
            people_in(portraits), mode, flash, seed, RecordingFolder.open(keep, key, make=True) if keep else None
        )
        kinds = [one for one in KINDS if not kind or one in kind]
        with progress_bar(console, transient=True) as progress:
            task = progress.add_task("simulated attempts", total=len(kinds) * attempts)
            on_done = partial(progress.advance, task)
            found = simulate_all(partial(load_pack, pack), plan, kinds, attempts, workers=workers, on_done=on_done)
        missing = len(kinds) * attempts - sum(map(len, found.values()))
        rates = tally_all(found)
        _print_sessions(console, rates, plan)
        report["simulatedSessions"] = {
            "mode": mode.value,
            "flash": flash,
            "seed": seed,
            "photos": len(plan.photos),
            "attemptsMissing": missing,
            "rates": [one.as_json() for one in rates],
            "notClaimed": list(OPEN_ATTACKS),
        }
    if sources is not None and not missing:
        engine = load_pack(pack)
        with progress_bar(console, transient=True) as progress:
            task = progress.add_task("real photos", total=sum(map(len, sources)))
            models = measure_photos(
                engine, *sources, THRESHOLDS.signals.passive, on_done=partial(progress.advance, task)
            )
        _print_photos(console, models, engine.pack.identity)
        report["realPhotos"] = {"pack": engine.pack.identity, "models": [one.as_json() for one in models]}
    if json_file:
        write_report(json_file, json.dumps(report, indent=2) + "\n")
        console.print(f"Numbers  {json_file}", markup=False)
    if missing:
        console.print(f"Interrupted: {missing} of the attempts asked for are not in these rates.")
        raise typer.Exit(130)


def _print_sessions(console: Console, rates: Sequence[PresentationRates], plan: Plan) -> None:
    colours = "with" if plan.flash else "without"
    table = Table(
        id_column("presentation"),
        "measure",
        "rate",
        "95 % interval",
        "no response",
        "attempts",
        "signals that failed",
        title=f"SIMULATED attempts, mode {plan.mode.value} {colours} colours",
        box=box.SIMPLE_HEAD,
    )
    for one in rates:
        failed = ", ".join(f"{name} {number}" for name, number in one.failed)
        measure = "BPCER" if one.bona_fide else "APCER"
        table.add_row(
            one.kind,
            measure,
            _percent(one.error),
            show_interval(one.interval),
            _percent(one.non_response),
            str(one.presentations),
            failed,
        )
    console.print(table)
    console.print("Not claimed: " + "; ".join(OPEN_ATTACKS) + ".", highlight=False)


def _print_photos(console: Console, models: Sequence[ModelRates], pack: str) -> None:
    if not models:
        console.print(f"{pack} has no passive model, so there is nothing to measure on photos.", highlight=False)
        return
    attacks, live = models[0].attacks.presentations, models[0].bona_fide.presentations
    headings = ("APCER", "95 % interval", "BPCER", "95 % interval", "equal error rate")
    title = f"REAL photos, {pack}: {attacks} attacks, {live} live"
    table = Table(id_column("model"), *headings, title=title, box=box.SIMPLE_HEAD)
    for one in models:
        table.add_row(
            one.model,
            _percent(one.attacks.error),
            show_interval(one.attacks.interval),
            _percent(one.bona_fide.error),
            show_interval(one.bona_fide.interval),
            _percent(one.equal_error_rate),
        )
    console.print(table)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
