"""``likeness gallery sweep``."""

import asyncio
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console

from likeness.cli.opening import open_deployment
from likeness.deployment import Deployment
from likeness.gallery.maintenance.sweep import QUARANTINE_DAYS, Findings, PhotoSweep
from likeness.gallery.photos import EntryPhotos
from likeness.settings import Settings
from likeness.store.generations import Generations
from likeness.store.images import ImageStore


def sweep(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm that the database is the right one, and move the photos.")
    ] = False,
) -> None:
    """Count the stored photos that no entry refers to.

    With --yes, move them into quarantine, and delete the photos that have
    been there for 30 days.

    The server does this by itself, but not if its database may be older
    than the photos. So put the newest database in place first after a
    restore. Stop the server first: the command needs the data folder for
    itself.

    Example: likeness gallery sweep --yes
    """
    settings = Settings().alone
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
        f"in quarantine: {findings.aside_count:,}, overdue {findings.expired_count:,}, deleted {findings.deleted:,}"
    )
    if findings.failed:
        console.print(
            f"not checked, because the image store refuses them: the photos of {', '.join(sorted(findings.failed))}"
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
