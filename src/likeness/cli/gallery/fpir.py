"""``likeness gallery fpir``."""

import csv
import json
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness.cli.arguments import RequiredTenant
from likeness.cli.measuring.photos import check_outputs, write_report
from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.deployment import Deployment
from likeness.engine.base import Engine
from likeness.errors import NotFound, SetupError
from likeness.evaluation.gallery_fpir import FEWEST_ENTRIES, GROWTH, GalleryFpir, measure_gallery, same_person_score
from likeness.evaluation.report.page import percent, percent_with_interval
from likeness.gallery.duplicates.pairs import Templates, pairs
from likeness.gallery.fpir.measurement import Measurement, MeasurementRepository, calibration_digest
from likeness.gallery.packs import load_stored
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_pack
from likeness.gallery.templates.blocks import joined, stored_templates
from likeness.settings import Settings
from likeness.tenants.service import Tenant

DuplicatesOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of the pairs that are one person, as `likeness gallery dedupe --csv` writes it. Delete its "
        "lines of different people first. Then only these pairs are set apart.",
        show_default=False,
    ),
]
SearchesOption = Annotated[
    int | None,
    typer.Option(
        min=FEWEST_ENTRIES,
        help="Search only for this number of random entries. The others stay in the gallery.",
        show_default="all entries",
    ),
]


def fpir(
    tenant: RequiredTenant,
    *,
    duplicates: DuplicatesOption = None,
    searches: SearchesOption = None,
    record: Annotated[
        bool, typer.Option(help="Let the tenant's searches rest on the measured rates from now on.")
    ] = True,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
) -> None:
    """Measure how often a search of this gallery finds a person who is not enrolled (FPIR).

    Searches for each entry among all others (leave-one-out), so it needs
    no other photos. Prints FPIR at each level with its 95 % interval, for
    the gallery as it is and for ten times as many entries. Takes N²
    comparisons for N entries; --searches makes it shorter.

    A person who is enrolled twice would count as a false positive. So
    pairs with a very high score are set apart. Other duplicates make the
    rates look higher: remove them, or name them with --duplicates.

    The tenant's searches then answer `expectedFpir` by these rates, and a
    target FPIR sets the threshold by them. This ends when the pack or its
    calibration changes, or when the gallery is ten times as large or as
    small. Measure again after many enrolments. --no-record only prints.

    Example: likeness gallery fpir --tenant acme --json fpir.json
    """
    check_outputs(json_file)
    console = Console(highlight=False)
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.by_name(tenant)
        engine, templates = _read(deployment, owner)
        same_person = _listed(deployment, owner, templates, duplicates) if duplicates else _alike(engine, templates)
        measured = _measure(engine, templates, same_person, searches)
        _print(console, owner, engine, measured)
        left_out = deployment.database.read_now(GalleryRepository(owner.id).count) - measured.entries
        if left_out > 0:
            console.print(f"{left_out:,} entries have no template of this pack. They are left out.")
        measurement = Measurement(
            pack=engine.pack.identity,
            calibration=calibration_digest(engine.calibration),
            entries=measured.entries,
            searches=measured.searches,
            measured_at=deployment.clock.now(),
            points=measured.comparison_rates,
        )
        if json_file:
            write_report(json_file, json.dumps(_report(owner, engine, measurement, measured), indent=2) + "\n")
            console.print(f"Numbers  {json_file}", markup=False)
        if record:
            console.print(_recorded(deployment, owner, measurement))


def _read(deployment: Deployment, owner: Tenant) -> tuple[Engine, Templates]:
    """Load the gallery's pack, and read its templates. Raises NotFound, and SetupError for a gallery too small."""
    packs = deployment.database.read_now(GalleryRepository(owner.id).packs)
    if packs is None:
        raise NotFound(f"The gallery of {owner.name!r} is empty.")
    engine = load_stored(partial(load_pack, deployment), packs.pack)
    size = engine.pack.template_size
    batches = deployment.database.read_now(lambda c: list(stored_templates(c, owner, packs.pack, size)))
    entries = sum(len(batch.keys) for batch in batches)
    if entries < FEWEST_ENTRIES:
        raise SetupError(
            f"the gallery of {owner.name!r} has {entries} entries of the pack {packs.pack}, and at least "
            f"{FEWEST_ENTRIES} are needed to measure FPIR. Until then its searches rest on the pack's calibration."
        )
    return engine, Templates(packs.pack, *joined(batches))


def _alike(engine: Engine, templates: Templates) -> list[tuple[int, int]]:
    """Find the pairs of rows with a score that different people hardly reach."""
    place_of = {int(key): place for place, key in enumerate(templates.keys)}
    score = same_person_score(engine.calibration, len(templates.keys))
    with progress_bar() as bar:
        task = bar.add_task("looking for people enrolled twice", total=len(templates.keys))
        found = pairs(templates, score, lambda done: bar.update(task, completed=done))
        return [(place_of[pair.first], place_of[pair.second]) for pair in found]


def _listed(deployment: Deployment, owner: Tenant, templates: Templates, file: Path) -> list[tuple[int, int]]:
    """Read pairs of rows. Those with an entry that was erased are left out. Raises SetupError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            listed = [(row["first"], row["second"]) for row in csv.DictReader(lines)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise SetupError(
            f"{file} cannot be read ({error}). It needs the columns `first` and `second`, as `likeness gallery dedupe "
            "--csv` writes them."
        ) from error
    rows, place_of = GalleryRepository(owner.id), {int(key): place for place, key in enumerate(templates.keys)}
    named = {entry_id for pair in listed for entry_id in pair}
    found = deployment.database.read_now(lambda c: [rows.find(c, entry_id) for entry_id in named])
    places = {entry.id: place_of[entry.key] for entry in found if entry and entry.key in place_of}
    if named and not places:
        raise SetupError(f"{file} names no entry of the gallery of {owner.name!r}.")
    return [(places[one], places[other]) for one, other in listed if one in places and other in places]


def _measure(
    engine: Engine, templates: Templates, same_person: list[tuple[int, int]], searches: int | None
) -> GalleryFpir:
    entries = len(templates.keys)
    with progress_bar() as bar:
        task = bar.add_task(f"searching among {entries:,} entries", total=min(searches or entries, entries))
        return measure_gallery(
            templates.rows,
            same_person,
            engine.calibration,
            searches=searches,
            progress=lambda done: bar.update(task, completed=done),
        )


def _report(owner: Tenant, engine: Engine, measurement: Measurement, measured: GalleryFpir) -> dict[str, Any]:
    return {
        "tenant": owner.name,
        "pack": measurement.pack,
        "calibration": measurement.calibration,
        "calibratedOn": engine.calibration.data_set,
        "measuredAt": datetime.fromtimestamp(measurement.measured_at, UTC).isoformat(timespec="seconds"),
        **measured.to_json(),
    }


def _recorded(deployment: Deployment, owner: Tenant, measurement: Measurement) -> str:
    """Record a measurement, and say what that does."""
    if not measurement.points:
        return "Not recorded: too few searches find somebody else."
    rows = MeasurementRepository(owner.id)
    deployment.database.write_now(partial(rows.record, measurement=measurement))
    return "Recorded. Searches of this tenant rest on it within 15 seconds."


def _print(console: Console, owner: Tenant, engine: Engine, measured: GalleryFpir) -> None:
    console.print(
        f"{owner.name}: {measured.searches:,} searches among {measured.entries:,} entries, {engine.pack.identity}; "
        f"{measured.pairs_set_apart:,} pairs set apart as one person",
        markup=False,
    )
    table = Table(
        "level",
        "threshold",
        f"FPIR at {measured.entries:,} (95 %)",
        "by calibration",
        f"extrapolated to {GROWTH * measured.entries:,}",
        box=box.SIMPLE_HEAD,
    )
    for one in measured.levels:
        value, low, high = one.grown
        table.add_row(
            str(one.level),
            f"{one.threshold:.4f}",
            percent_with_interval(one.fpir),
            percent(one.by_calibration),
            f"{percent(value)} ({100 * low:.3g} - {100 * high:.3g})",
        )
    console.print(table)
