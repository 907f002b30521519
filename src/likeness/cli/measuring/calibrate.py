"""``likeness calibrate``."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from likeness.cli.measuring.conditions import ConditionPhotos, extract_treated
from likeness.cli.measuring.evaluate import print_groups, print_levels
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
)
from likeness.cli.opening import open_deployment
from likeness.deployment import is_initialised
from likeness.engine.base import Use
from likeness.engine.levels import NEVER, Calibration
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.manifest import StoredCalibration, write_calibration
from likeness.engine.policy import FacePolicy
from likeness.errors import SetupError
from likeness.evaluation.data_set import ALL_PHOTOS, DataSet, read_folder, read_labels
from likeness.evaluation.recognition.calibration import (
    CalibratedThresholds,
    Demand,
    GroupLabels,
    Promise,
    Subset,
    check_groups,
    check_people,
    check_promise,
    rates_within,
    same_group,
    under_conditions,
)
from likeness.evaluation.recognition.calibration import derive_thresholds as find_thresholds
from likeness.evaluation.recognition.conditions import PHOTOS
from likeness.evaluation.recognition.extraction import Extraction
from likeness.gallery.pack_files import PackFiles
from likeness.settings import Settings


class Impostors(StrEnum):
    """Which pairs of different people decide a level's threshold."""

    ALL = "all"
    SAME_GROUP = "same-group"


def calibrate(
    folder: Folder,
    *,
    pack: Pack = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the calibration to this JSON file.", show_default=False)
    ] = None,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Put the calibration in the models folder. The server uses it at its next start."),
    ] = False,
    splits: Annotated[
        int,
        typer.Option(
            min=0, help="How many times to choose thresholds on a random half of the people and test them on the other."
        ),
    ] = 20,
    levels: Annotated[
        int, typer.Option(min=4, max=5, help="Number of levels to choose. With 4, no comparison gets level 5.")
    ] = 5,
    impostors: Annotated[
        Impostors | None,
        typer.Option(
            help="Which pairs of different people decide: all pairs, or also the pairs within each group of --groups.",
            show_default="same-group with --groups, otherwise all",
        ),
    ] = None,
    groups: Groups = None,
    conditions: Annotated[
        bool,
        typer.Option(
            "--conditions",
            help="Make the levels hold also for bad photos: turned, blurred, dark, covered and more. Takes long.",
        ),
    ] = False,
    condition_photos: ConditionPhotos = PHOTOS,
    workers: Workers = CORES,
    cache: Cache = None,
) -> None:
    """Choose the thresholds of levels 1 to 5 on photos of your own.

    Compares every two photos in DIR. A level's threshold is the lowest
    score that keeps the false match rate of the level: 1e-2, 1e-3, 1e-4,
    1e-5 or 1e-6. If few pairs of people decide, the rate is kept lower,
    down to half. Then the rate on other people is, with confidence, at
    most twice the level's rate. Level 5 needs 1,415 people, level 4 needs
    448. More photos of the same people do not help. Without --apply, the
    thresholds in use do not change.

    People of one group, such as one origin, sex and age, look more alike.
    With --groups, a level also keeps its rate within every group that has
    enough people. So the group whose people look most alike decides. No
    threshold is lower than for all pairs. A group with too few people
    decides nothing, and the output names it. It also shows each group's
    rates at the levels in force and at the new ones. Each label counts
    alone. For groups by two labels, write both into one column, such as
    `north f`.

    With --conditions, some photos are also turned, blurred, darkened,
    covered and more. A level then keeps its rate for every two accepted
    photos with the same treatment. A condition with too few accepted
    photos decides nothing: level 3 needs about 320, level 4 1,000 and
    level 5 3,200. Each photo takes one core for a second or more. With
    --cache, an interrupted run continues where it stopped.

    Example: likeness calibrate faces/ --pack builtin --apply

    Example: likeness calibrate faces/ --groups labels.csv --apply

    Here labels.csv has the lines `photo,origin`, `anna,north`, `ben,south`
    and so on: one line for each folder in faces/.
    """
    check_outputs(out)
    data_set = read_folder(folder)
    check_people(len(data_set.people), levels=levels)  # checked again after the work: a photo may give no template
    labels = _labels(impostors, groups, data_set, levels)
    engine = load_pack(pack)
    settings = Settings()
    catalogue = Catalogue(settings.models_dir)
    if apply:
        catalogue.get(engine.pack.id)  # a pack that cannot be calibrated fails before the work, not after it
    extraction = extract_templates(engine, data_set, workers=workers, cache=cache)
    rows, people = extraction.rows, extraction.people
    grouped = same_group(extraction, labels, levels=levels)
    chosen = find_thresholds(rows, people, levels=levels, subsets=grouped)
    everybody = Subset(ALL_PHOTOS, rows, people, levels)
    if conditions:  # only now: faults of the untreated photos must show before the long work
        treated = extract_treated(
            engine,
            data_set,
            photos=condition_photos,
            use=Use.PROBE,
            policy=FacePolicy.LARGEST,
            workers=workers,
            cache=cache,
        )
        subsets = (*grouped, *under_conditions(treated))
        chosen = find_thresholds(rows, people, levels=levels, subsets=subsets)
    console = Console()
    print_levels(console, f"{engine.pack} on {data_set.name}", chosen.levels)
    if len(chosen.demands) > 1:
        _print_demands(console, chosen)
    _print_within(console, calibration_of(engine), chosen, (everybody, *grouped))
    # A condition has too few people to be tested on halves.
    for subset in (everybody, *grouped) if splits else ():
        decided = [
            level for level, name in enumerate(chosen.decided_by) if name == subset.name and level < subset.levels
        ]
        if decided:
            promises = check_promise(subset.rows, subset.people, splits=splits)
            _print_promises(console, subset.name, [promises[level] for level in decided])
    stored = _stored(extraction, chosen, len(grouped), engine.pack.version)
    if out:
        write_calibration(out, stored)
        console.print(f"Written to {out}", markup=False)
    if apply:
        place = catalogue.calibrate(engine.pack.id, stored)
        if is_initialised(settings):
            with closing(open_deployment(settings)) as deployment:
                PackFiles(deployment).accept(f"{engine.pack.id}/{place.name}")
        console.print(f"In force from the next start on: {place}", markup=False)
    if not (out or apply):
        console.print(
            "Nothing was written: add [bold]--apply[/] to use these thresholds, [bold]--out[/] to keep them in a file."
        )


def _labels(impostors: Impostors | None, groups: Path | None, data_set: DataSet, levels: int) -> GroupLabels:
    """Read the groups, and check before the work that they are large enough. Empty if all pairs count.

    Raises SetupError.
    """
    if groups and impostors is Impostors.ALL:
        raise SetupError("--groups is for `--impostors same-group`; with `all`, all pairs count.")
    if groups is None:
        if impostors is Impostors.SAME_GROUP:
            raise SetupError(
                "`--impostors same-group` needs the groups: add `--groups labels.csv`; --help shows such a file."
            )
        return {}
    labels = read_labels(groups, data_set)
    check_groups(labels, data_set, levels=levels)
    return labels


def _stored(extraction: Extraction, chosen: CalibratedThresholds, groups: int, pack_version: str) -> StoredCalibration:
    """Describe the thresholds and the photos that they come from.

    The demands are that of all photos, then those of ``groups`` groups, then those of conditions.
    """
    thresholds, measured = [level.threshold for level in chosen.levels], list(chosen.highest_fmr)
    if len(thresholds) == 4:
        thresholds.append(NEVER)
        measured.append(0.0)
    everything, grouped, treated = chosen.demands[0], chosen.demands[1 : 1 + groups], chosen.demands[1 + groups :]
    within = f"; each level also holds within {', '.join(map(_with_levels, grouped))}" if grouped else ""
    alike = (
        f"; each level also holds for two photos under one condition ({_counted(treated, chosen)})" if treated else ""
    )
    return StoredCalibration(
        data_set=f"{extraction.data_set.name}: {len(extraction.rows):,} photos of {everything.people:,} "
        f"people{within}{alike}",
        thresholds=(thresholds[0], thresholds[1], thresholds[2], thresholds[3], thresholds[4]),
        measured_fmr=(measured[0], measured[1], measured[2], measured[3], measured[4]),
        genuine_pairs=chosen.levels[0].fnmr.comparisons,
        impostor_pairs=chosen.levels[0].fmr.comparisons,
        measured_at=datetime.now(UTC).date().isoformat(),
        pack_version=pack_version,
        notes="; ".join(
            f"level {level.level}: FMR {level.fmr.low:.1e} to {level.fmr.high:.1e} (95 %), FNMR {level.fnmr.value:.4f}"
            + (f", decided by {decided_by}" if grouped or treated else "")
            for level, decided_by in zip(chosen.levels, chosen.decided_by, strict=True)
        ),
    )


def _with_levels(demand: Demand) -> str:
    """Name a subset, and the levels that it has enough people for."""
    highest = len(demand.thresholds)
    return f"{demand.name} ({f'levels 1 to {highest}' if highest else 'no level: too few people'})"


def _counted(treated: Sequence[Demand], chosen: CalibratedThresholds) -> str:
    """Count for each level the conditions with enough pairs."""
    enough = (
        f"level {rates.level} {sum(len(demand.thresholds) >= rates.level for demand in treated)}"
        for rates in chosen.levels
    )
    return f"of {len(treated)} conditions those with enough pairs: {', '.join(enough)}"


def _print_demands(console: Console, chosen: CalibratedThresholds) -> None:
    table = Table(
        "within",
        "people",
        *(f"level {level.level}" for level in chosen.levels),
        title="the threshold that each row needs; * decides",
        box=box.SIMPLE_HEAD,
    )
    for demand in chosen.demands:
        cells = ["too few"] * len(chosen.levels)
        for level, threshold in enumerate(demand.thresholds):
            cells[level] = f"{threshold:.4f}{' *' if chosen.decided_by[level] == demand.name else ''}"
        table.add_row(escape(demand.name), f"{demand.people:,}", *cells)
    console.print(table)
    for rates, decided_by in zip(chosen.levels, chosen.decided_by, strict=True):
        console.print(f"level {rates.level} is decided by {decided_by}", markup=False, highlight=False)


def _print_within(
    console: Console, in_force: Calibration | None, chosen: CalibratedThresholds, within: Sequence[Subset]
) -> None:
    """Print the rates within groups, at the thresholds in force and at the new ones. ``within`` begins with all photos.

    Prints nothing without groups.
    """
    new = [level.threshold for level in chosen.levels]
    tables = {"the levels in force": in_force.thresholds if in_force else (), "the new levels": new}
    for title, thresholds in tables.items() if len(within) > 1 else ():
        if thresholds:
            rows = [(one.name, len(np.unique(one.people)), rates_within(one, thresholds)) for one in within]
            print_groups(console, f"{title}: FMR over the promise (95 %), and FNMR", rows)


def _print_promises(console: Console, within: str, promises: Sequence[Promise]) -> None:
    table = Table(
        "level",
        "FMR on unseen people over target: median",
        "middle 90 %",
        "at most twice",
        title=f"{escape(within)}: calibrated on half of the people, measured on the other half",
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
