"""``likeness gallery import`` and ``likeness gallery export``."""

import asyncio
import contextlib
import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console

from likeness.audit.actions import Action
from likeness.cli.arguments import RequiredTenant
from likeness.cli.measuring.photos import check_outputs
from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.deployment import Deployment
from likeness.engine.analysts.choice import photo_analysts
from likeness.engine.workers import FaceWorkers
from likeness.errors import SetupError
from likeness.gallery.bulk import exporting as bulk_export
from likeness.gallery.bulk.importing import Importer, Refusal, Tally
from likeness.gallery.bulk.source import Source, open_source
from likeness.gallery.composition import ComposedGallery, compose_gallery
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_served_engine
from likeness.kit.executors import SizedExecutor
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

_REPORT = ("row", "name", "code", "message")
_SOME_REFUSED = 3
"""Exit status of an import that ended and refused some rows. Status 1 means that it did not end."""
_WAITING_PER_WORKER = 4
"""Rows in progress for each worker, so that files are read and written while photos are analysed."""


def import_people(
    source: Annotated[
        Path, typer.Argument(help="A folder of JPEG and PNG photos, or a .csv, .jsonl or .parquet table.")
    ],
    tenant: RequiredTenant,
    refused: Annotated[
        Path | None,
        typer.Option(help="Write the refused rows with their reasons to this CSV file.", show_default=False),
    ] = None,
) -> None:
    """Enrol many people from a folder of photos or a table. After an interruption, run it again to continue.

    A table has a column `photo`: a path, relative to the table. It may
    have `externalId` and `metadata` (a JSON object). Without `externalId`
    the photo's path takes its place. An entry whose `externalId` is
    already in the gallery is left as it is.

    A refused row does not stop the others. If rows are refused, the
    command ends with status 3. Hidden files, thumbnails and files that
    are not photos are skipped and counted. LIKENESS_WORKERS sets the
    number of photos that are analysed at once, or with
    LIKENESS_ENGINE=ray the actors of the cluster do.

    Stop the server first: the command needs the data folder for itself.
    Beside a running server, use the API's insert call.

    Example: likeness gallery import people.csv --tenant acme
    """
    settings = Settings()
    with closing(open_deployment(settings)) as deployment, deployment.owned():
        owner = deployment.tenants.by_name(tenant)
        people = open_source(source)
        reasons: Counter[str] = Counter()
        with _refusals(refused, reasons) as refuse, progress_bar() as bar:
            total = people.count()
            if not total:
                raise SetupError(f"{source} has nobody to enrol{'; '.join(['', *_left_out(people)])}")
            task = bar.add_task(f"enrolling into {owner.name}", total=total)

            def progress(tally: Tally) -> None:
                bar.update(task, completed=tally.done)

            with _composed(deployment, owner) as gallery:
                importer = Importer(
                    gallery.service,
                    deployment.database,
                    owner,
                    people,
                    settings.max_image_bytes,
                    refuse,
                    progress,
                )
                try:
                    asyncio.run(_enrol_all(deployment, importer))
                finally:
                    bar.stop()
                    _print_tally(importer.tally, reasons, people)
    if importer.tally.refused:
        raise typer.Exit(_SOME_REFUSED)


async def _enrol_all(deployment: Deployment, importer: Importer) -> None:
    """Enrol all rows. Servers that share the galleries may replace a data key meanwhile."""
    following = asyncio.create_task(deployment.follow_tenants())
    try:
        await importer.run(at_once=deployment.settings.photos_at_once * _WAITING_PER_WORKER)
    finally:
        following.cancel()


def _left_out(people: Source) -> list[str]:
    """Give a line about the skipped files, if there are any."""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(people.passed_over.items()))
    return [f"files skipped: {kinds}"] if kinds else []


def _print_tally(tally: Tally, reasons: Counter[str], people: Source) -> None:
    console = Console()
    console.print(f"enrolled {tally.enrolled:,}, already there {tally.known:,}, refused {tally.refused:,}")
    for line in _left_out(people):
        console.print(line)
    for code, count in reasons.most_common():
        console.print(f"  {code} {count:,}")


def export(
    target: Annotated[Path, typer.Argument(help="The .csv or .jsonl file to write. It must not exist.")],
    tenant: RequiredTenant,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Also write the stored photos, unencrypted, into this folder. The column `photo` then has the path of "
            "each photo.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a gallery's entries to a table that `likeness gallery import` reads.

    The table has ids, references, metadata, quality and times, and never
    templates. With --images the command also writes the photos, without
    encryption. It can run beside a server.

    Example: likeness gallery export people.csv --tenant acme
    """
    check_outputs(target)
    settings = Settings()
    with closing(open_deployment(settings)) as deployment:
        owner = deployment.tenants.by_name(tenant)
        deployment.trail.record(Action.EXPORT, owner.id)
        store = ImageStore(settings.images_address)
        with progress_bar() as bar, contextlib.closing(store):
            total = deployment.database.read_now(GalleryRepository(owner.id).count)
            task = bar.add_task(f"exporting {owner.name}", total=total)
            exported = asyncio.run(
                bulk_export.export_gallery(
                    deployment.database,
                    owner,
                    target,
                    images=images,
                    photo=lambda image_id: store.get(owner.id, image_id, owner.cipher),
                    progress=lambda done: bar.update(task, completed=done),
                )
            )
    console = Console(markup=False)
    console.print(f"{exported.entries:,} entries  {target}", soft_wrap=True)
    if lost := exported.without_photo:
        console.print(f"without their photos, which are missing or damaged: {', '.join(lost)}", soft_wrap=True)


@contextlib.contextmanager
def _composed(deployment: Deployment, tenant: Tenant) -> Iterator[ComposedGallery]:
    """Load the gallery of one tenant without a server."""
    settings, engine = deployment.settings, load_served_engine(deployment)
    at_once = settings.photos_at_once
    with photo_analysts(settings, engine, lambda: deployment.cluster_namespace) as analysts:
        photos = SizedExecutor("photo", workers=at_once, queue_limit=at_once * _WAITING_PER_WORKER)
        gallery = compose_gallery(deployment, FaceWorkers(engine, photos, analysts))
        try:
            if not settings.shares_galleries:
                gallery.galleries.rebuild(deployment.database, [tenant])
                gallery.galleries.ready(tenant.id)
            yield gallery
        finally:
            photos.close()
            gallery.close()


@contextlib.contextmanager
def _refusals(target: Path | None, reasons: "Counter[str]") -> Iterator[Callable[[Refusal], None]]:
    """Count refusals by reason, and write them to a file that only its owner can read.

    Raises SetupError if ``target`` is another file.
    """
    with contextlib.ExitStack() as stack:
        write: Callable[[Iterable[object]], object] | None = None
        if target:
            file = stack.enter_context(_new_report(target))
            write = csv.writer(file, lineterminator="\n").writerow
            write(_REPORT)

        def refuse(refusal: Refusal) -> None:
            reasons[refusal.code] += 1
            if write:
                write(
                    (refusal.row.number, bulk_export.spreadsheet_text(refusal.row.name), refusal.code, refusal.message)
                )

        yield refuse


def _new_report(target: Path) -> IO[str]:
    """Open a report of refused rows. It replaces an earlier one. Raises SetupError."""
    check_outputs(target)
    if target.exists() and not _is_report(target):
        raise SetupError(f"{target} exists, and is not a report of refused rows")
    # A file's name can have bytes that are not UTF-8. They are written as escapes.
    return open(target, "w", encoding="utf-8", errors="backslashreplace", newline="", opener=bulk_export.private)


def _is_report(file: Path) -> bool:
    header = ",".join(_REPORT).encode()
    if not file.is_file():
        return False
    with file.open("rb") as earlier:
        return earlier.read(len(header)) == header
