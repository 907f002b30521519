"""``likeness evaluate``."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from likeness.cli.measuring.conditions import (
    SHOWN_LEVELS,
    ConditionPhotos,
    extract_treated,
    print_conditions,
    print_refusals,
)
from likeness.cli.measuring.differences import print_differentials
from likeness.cli.measuring.photos import (
    CORES,
    Cache,
    Folder,
    Groups,
    Pack,
    Workers,
    calibration_of,
    check_outputs,
    extract_templates,
    load_pack,
    write_report,
)
from likeness.engine.base import Use
from likeness.engine.levels import TARGET_FMR
from likeness.engine.policy import FacePolicy
from likeness.evaluation.data_set import ALL_PHOTOS, Pairs, read_folder, read_labels, read_pairs
from likeness.evaluation.recognition.conditions import PHOTOS, measure_conditions
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.pair_accuracy import PairAccuracy, pair_accuracy
from likeness.evaluation.recognition.performance import LevelRates, Performance, measure_performance
from likeness.evaluation.recognition.several import SeveralRates, measure_several
from likeness.evaluation.report.numbers import Circumstances, differentials_of, several_to_json, to_json
from likeness.evaluation.report.page import percent, percent_with_interval, rate, render_report
from likeness.evaluation.report.pictures import picture_pairs

_PICTURED_PAIRS = 12
_FEWEST_GENUINE = 30
"""The fewest genuine comparisons that a group's rate needs."""


def evaluate(
    folder: Folder,
    *,
    pack: Pack = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Also measure the accuracy on these pairs, in the format of LFW's pairs.txt.", show_default=False
        ),
    ] = None,
    groups: Groups = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page with curves and the worst pairs to this file.", show_default=False),
    ] = None,
    conditions: Annotated[
        bool,
        typer.Option(
            "--conditions",
            help="Also measure whether the levels hold for bad photos: turned, blurred, dark, covered and more.",
        ),
    ] = False,
    condition_photos: ConditionPhotos = PHOTOS,
    references: Annotated[
        int, typer.Option(min=1, max=10, help="Also measure what up to this number of photos of each person gain.")
    ] = 1,
    gallery_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of people in the searched gallery.", show_default="half of them, at most 1000"
        ),
    ] = None,
    use: Annotated[Use, typer.Option(help="The use whose quality thresholds refuse photos.")] = Use.PROBE,
    policy: Annotated[FacePolicy, typer.Option(help="What to do with several faces in a photo.")] = FacePolicy.LARGEST,
    pictures: Annotated[bool, typer.Option(help="Show the worst pairs as pictures on the page.")] = True,
    workers: Workers = CORES,
    cache: Cache = None,
) -> None:
    """Measure the error rates of a pack at every level, on photos of your own.

    Compares every two photos in DIR. Prints the false match and false
    non-match rates with 95 % intervals, the failures to acquire, and the
    errors of searches in a gallery. Also prints how the errors fall when
    bad photos are refused. Changes nothing, and sends nothing anywhere.

    With --groups, it also prints the rates within each group, as
    multiples of the promised rates, of those of all people and of those
    of the best group. It says of each group whether it is at most 25 %
    worse than all people (NIST SP 800-63A-4), or too small to say.

    With --references 3, it also compares a photo with 1, 2 and 3 photos
    of a person: with the mean of the scores, and with one template of all.
    The people need one photo more than that.

    With --conditions, some photos are also turned, blurred, darkened,
    covered and more. For each treatment it prints how many photos are
    refused and why, and the false match rates among the others.

    Example: likeness evaluate faces/ --html report.html --json report.json
    """
    check_outputs(json_file, html_file)
    data_set = read_folder(folder)
    chosen_pairs = read_pairs(pairs, data_set) if pairs else None
    labels = read_labels(groups, data_set) if groups else None
    engine = load_pack(pack)
    extraction = extract_templates(engine, data_set, use=use, policy=policy, workers=workers, cache=cache)
    calibration = calibration_of(engine)
    performance = measure_performance(extraction, calibration, gallery_size=gallery_size, labels=labels)
    accuracy = _accuracy(extraction, chosen_pairs) if chosen_pairs else None
    in_force = [level.threshold for level in performance.promised or performance.measured]
    treated = (
        measure_conditions(
            extract_treated(
                engine,
                data_set,
                photos=condition_photos,
                use=use,
                policy=policy,
                workers=workers,
                cache=cache,
            ),
            in_force,
        )
        if conditions
        else ()
    )
    circumstances = Circumstances(
        pack=engine.pack.identity,
        use=use,
        policy=policy,
        measured_at=datetime.now(UTC).date().isoformat(),
        calibrated_on=calibration.data_set if calibration else None,
    )
    several = measure_several(extraction.rows, extraction.people, in_force, most=references) if references > 1 else ()
    report = to_json(performance, circumstances, accuracy, treated) | {"references": several_to_json(several)}
    console = Console()
    print_performance(console, engine.pack.identity, performance, accuracy)
    if several:
        print_groups(console, "one photo against several of a person", _named(several))
    if treated:
        print_conditions(console, treated)
        print_refusals(console, treated)
    if json_file:
        write_report(json_file, json.dumps(report, indent=2) + "\n")
        console.print(f"Numbers  {json_file}", markup=False)
    if html_file:
        worst = performance.comparisons
        page = render_report(
            report,
            false_matches=picture_pairs(
                engine, extraction, worst.highest_impostor[:_PICTURED_PAIRS] if pictures else ()
            ),
            false_non_matches=picture_pairs(
                engine, extraction, worst.lowest_genuine[:_PICTURED_PAIRS] if pictures else ()
            ),
        )
        write_report(html_file, page)
        console.print(f"Page     {html_file}", markup=False)


def print_performance(console: Console, pack: str, performance: Performance, accuracy: PairAccuracy | None) -> None:
    """Print the measured rates as tables."""
    data_set = performance.extraction.data_set
    comparisons = performance.comparisons
    console.print(
        f"[bold]{pack}[/] on {escape(data_set.name)}: {len(data_set.photos):,} photos of {len(data_set.people):,} "
        f"people, {comparisons.genuine.total:,} genuine and {comparisons.impostor.total:,} impostor comparisons",
        highlight=False,
    )
    if performance.promised:
        print_levels(console, "levels in force", performance.promised)
    print_levels(console, "thresholds of this data", performance.measured)
    acquired = performance.failure_to_acquire
    reasons = ", ".join(f"{reason} {number}" for reason, number in performance.failures.items())
    console.print(
        f"failure to acquire  {percent(acquired.value)} ({acquired.errors} photos{': ' if reasons else ''}{reasons})",
        highlight=False,
    )
    if accuracy:
        console.print(
            f"accuracy on pairs   {percent(accuracy.mean)} ± {percent(accuracy.standard_error)} "
            f"({accuracy.genuine:,} genuine, {accuracy.impostor:,} impostor)",
            highlight=False,
        )
    if performance.identification:
        title = f"search in {performance.gallery_size:,} people; by leave-one-out: with its 95 % interval"
        table = Table("threshold", "FPIR", "FPIR by leave-one-out", "FNIR", title=title, box=box.SIMPLE_HEAD)
        for point in performance.identification:
            left_out = percent_with_interval(point.left_out_fpir) if point.left_out_fpir else ""
            table.add_row(f"{point.threshold:.4f}", percent(point.fpir), left_out, percent(point.fnir))
        console.print(table)
    table = Table("photos refused", "FNMR at FMR 1e-3", title="error versus discard", box=box.SIMPLE_HEAD)
    for discarded in performance.discard:
        table.add_row(percent(discarded.discarded), percent(discarded.fnmr))
    console.print(table)
    if performance.groups:
        whole = (ALL_PHOTOS, len(data_set.people), performance.promised or performance.measured)
        rows = [(f"{group.label}: {group.group}", group.people, group.levels) for group in performance.groups]
        print_groups(console, "within each group: FMR over the promise (95 %), and FNMR", [whole, *rows])
        print_differentials(console, performance.whole, performance.groups, differentials_of(performance))


def _named(several: Sequence[SeveralRates]) -> list[tuple[str, int, Sequence[LevelRates]]]:
    """Name the rates of each number of references, as rows of a table."""
    ways = ((f"{one.references}, {way}", one.people, levels) for one in several for way, levels in one.ways.items())
    return list(ways)


def print_levels(console: Console, title: str, levels: Sequence[LevelRates]) -> None:
    """Print the rates at each level's threshold, within 80 columns."""
    table = Table("level", "threshold", "FMR", "95 %", "FNMR", "95 %", "TAR", title=escape(title), box=box.SIMPLE_HEAD)
    for level in levels:
        table.add_row(
            f"{level.level} ({rate(TARGET_FMR[level.level - 1])})",
            f"{level.threshold:.4f}",
            rate(level.fmr.value),
            f"{rate(level.fmr.low)} - {rate(level.fmr.high)}",
            percent(level.fnmr.value),
            f"{100 * level.fnmr.low:.3g} - {percent(level.fnmr.high)}",
            f"{1 - level.fnmr.value:.4f}",
        )
    console.print(table)


def print_groups(console: Console, title: str, rows: Sequence[tuple[str, int, Sequence[LevelRates]]]) -> None:
    """Print a row for all photos and for each group: its name, its number of people, and its rates at every level.

    The false match rates are divided by the promised rate (ISO/IEC 19795-10).
    """
    table = Table(
        "within",
        "people",
        *(f"L{level}, x promise" for level in SHOWN_LEVELS),
        "FNMR, L3",
        title=title,
        box=box.SIMPLE_HEAD,
    )
    for name, people, levels in rows:
        table.add_row(
            escape(name),
            f"{people:,}",
            *(_over_promise(levels[level - 1]) for level in SHOWN_LEVELS if level <= len(levels)),
            percent(levels[2].fnmr.value) if levels[2].fnmr.comparisons >= _FEWEST_GENUINE else "too few",
        )
    console.print(table)


def _over_promise(level: LevelRates) -> str:
    """Give FMR over the promised rate with its interval, or "too few" comparisons."""
    promise, fmr = TARGET_FMR[level.level - 1], level.fmr
    if fmr.comparisons * promise < 1:
        return "too few"
    return f"{fmr.value / promise:.2g} ({fmr.low / promise:.2g} - {fmr.high / promise:.2g})"


def _accuracy(extraction: Extraction, pairs: Pairs) -> PairAccuracy | None:
    """Give the accuracy on the pairs whose two photos gave templates."""
    row_of = {index: row for row, index in enumerate(extraction.samples)}
    kept = [
        (row_of[first], row_of[second], genuine)
        for first, second, genuine in zip(pairs.first, pairs.second, pairs.genuine, strict=True)
        if first in row_of and second in row_of
    ]
    first, second, genuine = np.array(kept, np.int64).reshape(-1, 3).T
    rows = extraction.rows
    scores = (rows[first] * rows[second]).sum(axis=1, dtype=np.float64)
    return pair_accuracy(scores, genuine.astype(np.bool_))
