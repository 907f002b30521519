"""``likeness gallery verify``."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.maintenance.verification import Fault, Verification
from likeness.gallery.packs import load_stored
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_pack
from likeness.settings import Settings
from likeness.store.images import ImageStore

_STEPS = ("templates", "photos")


def verify(
    tenant: Annotated[
        str | None, typer.Option(help="Name or id of one tenant; by default all.", show_default=False)
    ] = None,
    *,
    whole_photos: Annotated[
        bool, typer.Option("--whole-photos", help="Also open each photo, not only check that it exists.")
    ] = False,
    drop: Annotated[
        bool,
        typer.Option(
            "--drop",
            help="Delete the damaged data. An entry without any good template is erased with its photo. An entry "
            "without its photo stays.",
        ),
    ] = False,
) -> None:
    """Find entries with a damaged template or photo. Ends with status 1 if damage is left.

    A template is damaged if it does not open, has the wrong length, or is
    not a unit vector. Searches leave it out. --drop deletes the damaged
    data, or restores a template from its stored copy. Stop the server
    first: the command needs the data folder for itself.

    Example: likeness gallery verify --tenant acme --drop
    """
    settings = Settings().alone
    console = Console(markup=False, highlight=False, soft_wrap=True)
    left = 0
    with (
        closing(open_deployment(settings)) as deployment,
        deployment.owned(),
        closing(ImageStore(settings.images_address)) as images,
    ):

        @cache
        def size_of(pack: PackIdentity) -> int:
            return load_stored(partial(load_pack, deployment), pack).pack.template_size

        chosen = [deployment.tenants.by_name(tenant)] if tenant else deployment.tenants.all()
        if not tenant and (closed := {row.id for row in deployment.tenants.rows()} - {each.id for each in chosen}):
            console.print(f"tenants that cannot be opened: {', '.join(sorted(closed))}")
            left += len(closed)
        for each in chosen:
            photos = EntryPhotos(images, deployment.database)
            verification = Verification(each, deployment.database, images, photos, size_of)
            entries = deployment.database.read_now(GalleryRepository(each.id).count)
            with _bars(each.name, entries) as bars:
                faults = asyncio.run(_look(verification, bars, whole=whole_photos))
            for fault in faults:
                console.print(f"{each.name}: entry {fault.entry_id}: {fault}")
            if faults and drop:
                restored, erased = asyncio.run(verification.drop(faults))
                console.print(f"{each.name}: {restored:,} templates restored from a copy, {erased:,} entries erased")
            else:
                left += len({fault.key for fault in faults})
    console.print("Nothing is damaged." if not left else f"damaged: {left:,} (nothing is changed without --drop)")
    if left:
        raise typer.Exit(1)


async def _look(verification: Verification, bars: Progress, *, whole: bool) -> Sequence[Fault]:
    templates, photos = bars.task_ids
    damaged = await asyncio.to_thread(verification.templates, lambda more: bars.advance(templates, more))
    return [*damaged, *await verification.stored_photos(lambda more: bars.advance(photos, more), whole=whole)]


@contextmanager
def _bars(name: str, entries: int) -> Iterator[Progress]:
    with progress_bar(transient=True) as bars:
        for step in _STEPS:
            bars.add_task(f"{step} of {name}", total=entries)
        yield bars
