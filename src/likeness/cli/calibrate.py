"""``likeness calibrate``."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness.cli.evaluate import print_levels
from likeness.cli.photos import CORES, Cache, Folder, Pack, Workers, check_outputs, extract_templates, load_pack
from likeness.deployment import is_initialised, open_deployment
from likeness.engine.levels import NEVER
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.manifest import StoredCalibration, write_calibration
from likeness.evaluation.calibration import Promise, check_people, check_promise
from likeness.evaluation.calibration import calibrate as find_thresholds
from likeness.evaluation.data_set import read_folder
from likeness.settings import Settings


def calibrate(
    folder: Folder,
    *,
    pack: Pack = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the calibration to this JSON file.", show_default=False)
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Put it in force: written to the models folder, used from the next start on."),
    ] = False,
    splits: Annotated[
        int, typer.Option(min=0, help="How many times to try the thresholds on people they were not chosen on.")
    ] = 20,
    levels: Annotated[
        int, typer.Option(min=4, max=5, help="The levels to choose; with 4, no comparison is given level 5.")
    ] = 5,
    workers: Workers = CORES,
    cache: Cache = None,
) -> None:
    """Choose the thresholds of levels 1 to 5 on photos of your own.

    Compares every two photos of DIR. A level's threshold is the lowest score that no more than its share of the comparisons of
    different people reaches: 1e-2, 1e-3, 1e-4, 1e-5, 1e-6; where few pairs of people decide, down to half of it, so that the rate on
    other people stays within twice with confidence. Level 5 takes 1,415 people and level 4 takes 448; more photos of the
    same people are no substitute. Without --apply nothing in force changes.

    Example: likeness calibrate faces/ --pack builtin --apply
    """
    check_outputs(out)
    data_set = read_folder(folder)
    check_people(len(data_set.people), levels=levels)  # whose photos give no template is seen after the work
    engine = load_pack(pack)
    settings = Settings()
    catalogue = Catalogue(settings.models_dir)
    if apply:
        catalogue.get(engine.pack.id)  # a pack that cannot be calibrated is told before the work, not after
    extraction = extract_templates(engine, data_set, workers=workers, cache=cache)
    rows, people = extraction.rows, extraction.people
    chosen = find_thresholds(rows, people, levels=levels)
    console = Console()
    print_levels(console, f"{engine.pack} on {data_set.name}", chosen)
    promises = check_promise(rows, people, splits=splits)[:levels] if splits else ()
    if promises:
        _print_promises(console, promises)
    first, second, third, fourth = chosen[:4]
    fifth, measured_fifth = (chosen[4].threshold, chosen[4].fmr.value) if levels == 5 else (NEVER, 0.0)
    stored = StoredCalibration(
        data_set=f"{data_set.name}: {len(rows):,} photos of {len(set(people.tolist())):,} people",
        thresholds=(first.threshold, second.threshold, third.threshold, fourth.threshold, fifth),
        measured_fmr=(first.fmr.value, second.fmr.value, third.fmr.value, fourth.fmr.value, measured_fifth),
        genuine_pairs=first.fnmr.comparisons,
        impostor_pairs=first.fmr.comparisons,
        measured_at=datetime.now(UTC).date().isoformat(),
        pack_version=engine.pack.version,
        notes="; ".join(
            f"level {level.level}: FMR {level.fmr.low:.1e} to {level.fmr.high:.1e} (95 %), FNMR {level.fnmr.value:.4f}"
            for level in chosen
        ),
    )
    if out:
        write_calibration(out, stored)
        console.print(f"Written to {out}", markup=False)
    if apply:
        place = catalogue.calibrate(engine.pack.id, stored)
        if is_initialised(settings):
            with closing(open_deployment(settings)) as deployment:
                deployment.accept_pack_files(f"{engine.pack.id}/{place.name}")
        console.print(f"In force from the next start on: {place}", markup=False)
    if not (out or apply):
        console.print(
            "Nothing was written: add [bold]--apply[/] to put these thresholds in force, [bold]--out[/] to keep them."
        )


def _print_promises(console: Console, promises: tuple[Promise, ...]) -> None:
    table = Table(
        "level",
        "FMR on unseen people over target: median",
        "middle 90 %",
        "at most twice",
        title="calibrated on half of the people, measured on the other half",
        box=box.SIMPLE_HEAD,
    )
    for promise in promises:
        table.add_row(
            str(promise.level),
            f"{promise.median_ratio:.2f}",
            f"{promise.low_ratio:.2f} - {promise.high_ratio:.2f}",
            f"{100 * promise.within_twice:.0f} %",
        )
    console.print(table)
