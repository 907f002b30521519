"""The option ``--conditions``: treats photos, and shows whether the levels hold for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness.cli.measuring.photos import analysing, open_cache
from likeness.cli.progress import progress_bar
from likeness.engine.base import Engine, Use
from likeness.engine.levels import TARGET_FMR
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.measures import RECOGNISABILITY
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition.conditions import (
    Analysis,
    ConditionRates,
    Conditions,
    RefusedPhotos,
    choose_photos,
    extract_conditions,
)
from likeness.evaluation.report.page import percent

SHOWN_LEVELS = (3, 4, 5)


ConditionPhotos = Annotated[
    int,
    typer.Option(
        min=20,
        help="Number of photos that --conditions treats. 100 photos show large errors within minutes. The default "
        "also shows a rate that is twice too high.",
    ),
]


def extract_treated(
    engine: Engine,
    data_set: DataSet,
    *,
    photos: int,
    use: Use,
    policy: FacePolicy,
    workers: int,
    cache: Path | None,
) -> Conditions:
    """Apply every treatment to photos of a data set, with a progress bar on the error stream. Raises SetupError."""
    chosen = choose_photos(data_set, photos)
    with analysing(engine, workers) as (analyst, at_once), progress_bar() as bar:
        task = bar.add_task(f"photos in all conditions, {engine.pack}", total=len(chosen))
        return extract_conditions(
            Analysis(engine, use, policy, analyst),
            data_set,
            photos=chosen,
            workers=at_once,
            cache=open_cache(engine, cache, use, policy),
            progress=lambda done, _total: bar.update(task, completed=done),
        )


def print_conditions(console: Console, rows: Sequence[ConditionRates]) -> None:
    """Print a row for each treatment, within 80 columns.

    The false match rates are divided by the promised rate. ``!`` marks a level that does not hold.
    """
    table = Table(
        "condition",
        "refused",
        *(f"L{level}, x promise" for level in SHOWN_LEVELS),
        "genuine L3",
        "pairs",
        title="photos treated alike: FMR over the promise; genuine: against a photo as it is",
        box=box.SIMPLE_HEAD,
    )
    for row in rows:
        at_levels = [
            f"{row.alike[level - 1].fmr.value / TARGET_FMR[level - 1]:.3g}{'' if row.holds(level) else ' !'}"
            for level in SHOWN_LEVELS
        ]
        table.add_row(
            row.condition,
            percent(row.failure_to_acquire.value),
            *at_levels,
            percent(1 - row.against_clean[2].fnmr.value),
            f"{row.alike[0].fmr.comparisons:,}",
        )
    console.print(table)


def print_refusals(console: Console, rows: Sequence[ConditionRates]) -> None:
    """Print why photos are refused after each treatment, within 80 columns.

    Recognisability has columns of its own: the fraction that it refuses, and the fraction that it alone refuses.
    """
    table = Table(
        "condition",
        "refused",
        RECOGNISABILITY,
        "it alone",
        "most refusals by",
        title="why photos are refused",
        box=box.SIMPLE_HEAD,
    )
    for row in rows:
        empty = row.refusals.get(RECOGNISABILITY, RefusedPhotos(0, 0))
        others = [(name, found) for name, found in row.refusals.items() if name != RECOGNISABILITY]
        table.add_row(
            row.condition,
            percent(row.failure_to_acquire.value),
            percent(empty.photos / max(row.photos, 1)),
            percent(empty.alone / max(row.photos, 1)),
            ", ".join(f"{name} {percent(found.photos / row.photos)}" for name, found in others[:1]),
        )
    console.print(table)
