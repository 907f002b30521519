"""``likeness gallery sweep``."""

import asyncio
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console

from likeness.deployment import Deployment, open_deployment
from likeness.gallery.maintenance.sweep import QUARANTINE_DAYS, Findings, PhotoSweep
from likeness.gallery.photos import EntryPhotos
from likeness.settings import Settings
from likeness.store.generations import Generations
from likeness.store.images import ImageStore


def sweep(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="This database is the right one: do what is told.")] = False,
) -> None:
    """Tell which stored photos no entry refers to.

    With --yes, set them aside and delete those that lay aside for 30 days.

    The server does so by itself, but leaves the photos alone where the database at hand may be older than they are:
    after a restore, put the newest database in place first. Needs the data folder for itself: stop the server.
    """
    settings = Settings()
    with (
        closing(open_deployment(settings)) as deployment,
        deployment.owned(),
        closing(ImageStore(settings.images_address)) as images,
    ):
        findings = asyncio.run(_sweep(deployment, images, confirmed=yes))
    console = Console(markup=False, soft_wrap=True)
    if not findings.agreed:
        console.print("The photos were stored with another database than this one, perhaps a newer one.")
    done = f"set aside for {QUARANTINE_DAYS} days: {findings.moved:,}" if yes else "nothing is changed without --yes"
    console.print(f"photos of no entry: {findings.stray_count:,} ({done})")
    console.print(
        f"in quarantine: {findings.aside_count:,}, past their time {findings.expired_count:,}, deleted "
        f"{findings.deleted:,}"
    )
    if findings.failed:
        console.print(
            f"not looked at, for the image store refuses them: the photos of {', '.join(sorted(findings.failed))}"
        )
    console.print(
        f"in quarantine, though an entry refers to them: {len(findings.named):,}{' (put back)' if yes else ''}"
    )


async def _sweep(deployment: Deployment, images: ImageStore, *, confirmed: bool) -> Findings:
    photos = EntryPhotos(images, deployment.database)
    await photos.recall_overdue()
    generations = Generations(images, deployment.database)
    sweeping = PhotoSweep(images, photos, deployment.database, generations, deployment.clock)
    tenants = deployment.tenants.all()
    return await (sweeping.run(tenants, confirmed=True) if confirmed else sweeping.look(tenants))
