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
from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.maintenance.verification import Fault, Verification
from likeness.gallery.packs import load_stored
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_pack
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

_STEPS = ("templates", "photos")
WholePhotos = Annotated[
    bool, typer.Option("--whole-photos", help="Also open each photo, not only check that it exists.")
]
Drop = Annotated[
    bool,
    typer.Option(
        "--drop",
        help="Delete the damaged data. An entry without any good template is erased with its photo. An entry without "
        "its photo stays. An entry that was altered or put back is erased.",
    ),
]
Accept = Annotated[
    bool,
    typer.Option("--accept", help="Take a gallery's entries as they are if nobody can tell which were put back."),
]


def verify(
    tenant: Annotated[
        str | None, typer.Option(help="Name or id of one tenant; by default all.", show_default=False)
    ] = None,
    *,
    whole_photos: WholePhotos = False,
    drop: Drop = False,
    accept: Accept = False,
) -> None:
    """Find entries that are damaged or were altered. Ends with status 1 if damage is left.

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

        chosen, closed = _chosen(deployment, tenant)
        if closed:
            console.print(f"tenants that cannot be opened: {', '.join(closed)}")
            left += len(closed)
        for each in chosen:
            photos = EntryPhotos(images, deployment.database)
            verification = Verification(each, deployment.database, images, photos, size_of)
            if not _roll_is_right(console, verification, drop=drop, accept=accept):
                left += 1
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
    if left:
        console.print(f"damaged: {left:,} (nothing is changed without --drop)")
        raise typer.Exit(1)
    console.print("Nothing is damaged.")


def _chosen(deployment: Deployment, tenant: str | None) -> tuple[list[Tenant], list[str]]:
    """Give one tenant, or all, and the ids of those that cannot be opened."""
    if tenant:
        return [deployment.tenants.by_name(tenant)], []
    chosen = deployment.tenants.all()
    return chosen, sorted({row.id for row in deployment.tenants.rows()} - {each.id for each in chosen})


def _roll_is_right(console: Console, verification: Verification, *, drop: bool, accept: bool) -> bool:
    """Print how the entries differ from the roll, and mend that on request. Whether they are the same now."""
    fault = verification.roll()
    if fault is None:
        return True
    console.print(f"{verification.tenant.name}: {fault}")
    return (drop or accept) and verification.mend_roll(fault, accept=accept)


async def _look(verification: Verification, bars: Progress, *, whole: bool) -> Sequence[Fault]:
    templates, photos = bars.task_ids
    altered = await asyncio.to_thread(verification.rows)
    damaged = await asyncio.to_thread(verification.templates, lambda more: bars.advance(templates, more))
    return [*altered, *damaged, *await verification.stored_photos(lambda more: bars.advance(photos, more), whole=whole)]


@contextmanager
def _bars(name: str, entries: int) -> Iterator[Progress]:
    with progress_bar(transient=True) as bars:
        for step in _STEPS:
            bars.add_task(f"{step} of {name}", total=entries)
        yield bars
