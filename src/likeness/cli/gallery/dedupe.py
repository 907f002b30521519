"""``likeness gallery dedupe``."""

import asyncio
import csv
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from likeness.cli.arguments import RequiredTenant
from likeness.cli.measuring.photos import check_outputs
from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import NotFound
from likeness.gallery.bulk.exporting import refuse_present, spreadsheet_text, written_whole
from likeness.gallery.duplicates.listing import DuplicateListing, ListedPair
from likeness.gallery.duplicates.page import render_duplicates
from likeness.gallery.duplicates.pairs import read_templates
from likeness.gallery.entries.entry import Entry
from likeness.gallery.packs import load_stored
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_pack
from likeness.settings import Settings
from likeness.store.images import ImageStore


def dedupe(
    tenant: RequiredTenant,
    level: Annotated[int, typer.Option(min=1, max=5, help="Lowest match level of a pair.")] = 5,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all pairs to this CSV file.", show_default=False)
    ] = None,
    html_file: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page with the faces of each pair to this HTML file.", show_default=False),
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(
            min=1, max=5000, help="Largest number of pairs on the page. It shows those with the highest scores."
        ),
    ] = 200,
) -> None:
    """Find all pairs of entries in a gallery that look like one person. Changes nothing.

    Compares each entry with every other: N²/2 pairs for N entries. So
    expect false pairs: at level 5 (one in a million), 10,000 entries give
    about 50. Runs beside a server, on its own copy of the templates. To
    remove an entry, erase it through the API.

    Example: likeness gallery dedupe --tenant acme --csv pairs.csv --html pairs.html
    """
    check_outputs(csv_file, html_file)
    refuse_present(csv_file, html_file)
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.by_name(tenant)
        packs = deployment.database.read_now(GalleryRepository(owner.id).packs)
        if packs is None:
            raise NotFound(f"The gallery of {owner.name!r} is empty.")
        engines: dict[PackIdentity, Engine] = {}

        def size_of(pack: PackIdentity) -> int:
            engines[pack] = load_stored(partial(load_pack, deployment), pack)
            return engines[pack].pack.template_size

        groups = deployment.database.read_now(lambda c: read_templates(c, owner, packs.pack, size_of))
        listing = DuplicateListing(deployment.database, owner, engines, level)
        with progress_bar() as bar, _table(csv_file) as write:
            tasks = {
                group: bar.add_task(f"comparing {len(group.keys):,} entries, {group.pack}", total=len(group.keys))
                for group in groups
            }
            best = listing.find(
                groups,
                most=pictures,
                report=write,
                progress=lambda group, done: bar.update(tasks[group], completed=done),
            )
        if html_file:
            with closing(ImageStore(deployment.settings.images_address)) as images:
                shown = asyncio.run(listing.pictured(best, images))
            compared = sum(len(group.keys) for group in groups)
            page = render_duplicates(owner.name, packs.pack, level, shown, found=listing.found, compared=compared)
            with written_whole(html_file) as file:
                file.write(page)
    Console().print(f"{listing.found:,} pairs reach level {level}")


@contextmanager
def _table(target: Path | None) -> Iterator[Callable[[ListedPair], None] | None]:
    """Give a function that writes a pair to a CSV file, or None without a file."""
    if target is None:
        yield None
        return
    with written_whole(target) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("first", "firstExternalId", "second", "secondExternalId", "score", "matchLevel", "model"))

        def write(pair: ListedPair) -> None:
            table.writerow((*_names(pair.first), *_names(pair.second), f"{pair.score:.4f}", pair.level, pair.pack))

        yield write


def _names(entry: Entry) -> tuple[str, str]:
    return entry.id, spreadsheet_text(entry.external_id or "")
