"""``likeness tenant ...``."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from likeness.access.scopes import API_SCOPES, Scope
from likeness.administration.person import personal_data
from likeness.administration.privacy import blanks, privacy_record, processing_of
from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.cli.arguments import TenantArgument
from likeness.cli.client import show_credentials
from likeness.cli.opening import open_deployment
from likeness.cli.people.user import user
from likeness.cli.progress import progress_bar
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.engine.policy import FacePolicy
from likeness.errors import InvalidInput
from likeness.gallery.bulk.exporting import ending_of
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import serves_passively
from likeness.kit.files import create_whole
from likeness.liveness.attempt.script import LivenessMode
from likeness.sessions.mode import NO_PASSIVE_MODEL
from likeness.settings import Settings
from likeness.store.images import CONCURRENT_FILES, ImageStore
from likeness.tenants.repository import TenantRow
from likeness.tenants.schemas import MOST_ENTRY_DAYS, TenantSettings
from likeness.tenants.service import settings_of

tenant = typer.Typer(help="Tenants: each has its own gallery, clients, settings and data key.", no_args_is_help=True)
tenant.add_typer(user, name="user")


_UNSET: Mapping[str, object] = {
    "target_fpir": 0,
    "liveness_review_margin": 0,
    "redirect_hosts": ["any"],
    "entry_days": 0,
    **dict.fromkeys(("privacy_name", "privacy_purpose", "privacy_purpose_ar", "privacy_url"), ""),
}
"""What an option of `tenant set` says to get the default of its setting."""


@tenant.command()
def create(
    name: Annotated[str, typer.Argument(help="A name of your choice, unique in this deployment.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="A permission of the first client. Repeat the option for several.", show_default=False),
    ] = None,
) -> None:
    """Make a tenant and its first client, and show the client's secret once.

    Without --scope the client may make every call of the API.
    `likeness client create` makes further clients.

    Example: likeness tenant create acme
    """
    with closing(open_deployment(Settings())) as deployment:
        made = deployment.tenants.create(name)
        credentials = deployment.clients.create(made.id, "first", scope or API_SCOPES)
    Console(markup=False, highlight=False, soft_wrap=True).print(f"tenant         {made.id}  {name}")
    show_credentials(credentials)


@tenant.command(name="list")
def list_tenants(*, as_json: AsJson = False) -> None:
    """List the tenants and their settings."""
    table = Table(id_column("id"), "name", Column("settings", overflow="fold"))
    with closing(open_deployment(Settings())) as deployment:
        rows = [(row, settings_of(row)) for row in deployment.tenants.rows()]
    if as_json:
        from likeness.administration.schemas import OwnSettings  # noqa: PLC0415  a table needs none of the API

        print_json(
            [
                {"tenantId": row.id, "name": row.name, "settings": OwnSettings.of(settings) if settings else None}
                for row, settings in rows
            ]
        )
    else:
        for row, settings in rows:
            table.add_row(row.id, row.name, settings.model_dump_json(exclude_defaults=True) if settings else "damaged")
        print_table(table)


@tenant.command(name="set")
def change(
    name: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    face_policy: Annotated[
        Literal[FacePolicy.LARGEST, FacePolicy.SINGLE] | None,
        typer.Option(help="What to do with several faces in a photo."),
    ] = None,
    search_level: Annotated[
        int | None, typer.Option(min=1, max=5, help="Match level that an entry needs to be found by a search.")
    ] = None,
    target_fpir: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.999,
            help="Chance that a search finds a stranger, e.g. 0.001. The threshold then follows the gallery's size "
            "instead of a level. 0 returns to the level.",
        ),
    ] = None,
    liveness_mode: Annotated[
        LivenessMode | None, typer.Option(help="Liveness mode of a face session that does not name one.")
    ] = None,
    liveness_in_browser: Annotated[
        bool | None,
        typer.Option(help="Whether the browser's copy of a result has the liveness signals and their scores."),
    ] = None,
    liveness_review_margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.5,
            help="Mark a failed liveness check as uncertain, for a review by a person, if each signal failed by at "
            "most this fraction of its threshold, e.g. 0.1. 0 turns it off.",
        ),
    ] = None,
    redirect_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host that the redirectUrl of a face session may have. Repeat the option for several. They replace "
            "the earlier ones; `any` allows every host.",
            show_default=False,
        ),
    ] = None,
    gallery_limit: Annotated[int | None, typer.Option(min=1, help="Largest number of entries in the gallery.")] = None,
    privacy_name: Annotated[
        str | None, typer.Option(help="Who asks people for their faces, as the capture page says it. '' for nothing.")
    ] = None,
    privacy_purpose: Annotated[str | None, typer.Option(help="What for, as the capture page says it.")] = None,
    privacy_purpose_ar: Annotated[str | None, typer.Option(help="The same in Arabic.")] = None,
    privacy_url: Annotated[
        str | None, typer.Option(help="Address (https) of your privacy notice, to which the capture page links.")
    ] = None,
    entry_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_ENTRY_DAYS,
            help="Days after which a new entry is erased. Entries that exist keep their time. 0: never.",
        ),
    ] = None,
) -> None:
    """Change a tenant's settings. A running server uses them within half a minute.

    Prints all settings of the tenant. If the stored settings are damaged,
    each one that you do not give gets its default.

    Example: likeness tenant set acme --search-level 4
    """
    given = {
        "face_policy": face_policy,
        "search_level": search_level,
        "target_fpir": target_fpir,
        "liveness_mode": liveness_mode,
        "liveness_in_browser": liveness_in_browser,
        "liveness_review_margin": liveness_review_margin,
        "redirect_hosts": redirect_host or None,
        "gallery_limit": gallery_limit,
        "privacy_name": privacy_name,
        "privacy_purpose": privacy_purpose,
        "privacy_purpose_ar": privacy_purpose_ar,
        "privacy_url": privacy_url,
        "entry_days": entry_days,
    }
    with closing(open_deployment(Settings())) as deployment:
        row = deployment.tenants.row_by_name(name)
        if liveness_mode is LivenessMode.PASSIVE and not serves_passively(deployment):
            raise InvalidInput(
                f"{NO_PASSIVE_MODEL} Install one first, e.g. with `likeness packs install minifasnet-80`."
            )
        kept = (settings_of(row) or TenantSettings()).model_dump(exclude_unset=True)
        changed = kept | {key: value for key, value in given.items() if value is not None}
        for setting, unset in _UNSET.items():
            if changed.get(setting) == unset:
                del changed[setting]
        settings = TenantSettings.model_validate(changed)
        deployment.tenants.change_settings(row.id, settings)
    Console().print_json(settings.model_dump_json())


@tenant.command()
def erase(
    name: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Erase a tenant and all its data permanently.

    Erases photos, gallery, sessions, results, webhook, clients and the
    key that seals the tenant's data. Stop the server first: the command
    needs the data folder for itself. If it is interrupted, run it again.
    Backups are not changed: delete them yourself.

    Example: likeness tenant erase acme
    """
    settings = Settings().alone
    with closing(open_deployment(settings)) as deployment, deployment.owned():
        leaving = deployment.tenants.row_by_name(name)
        people = deployment.database.read_now(GalleryRepository(leaving.id).count)
        if held := len(deployment.database.read_now(GalleryRepository(leaving.id).held)):
            raise InvalidInput(f"{held:,} entries are under a legal hold: see `likeness gallery holds {leaving.id}`.")
        if not yes:
            typer.confirm(f"Erase {leaving.name!r} and the {people:,} entries of its gallery permanently?", abort=True)
        # The photos first: after an interruption, the command still finds the tenant by its name.
        with closing(ImageStore(settings.images_address)) as images:
            asyncio.run(_delete_photos(images, leaving))
        deployment.tenants.erase(leaving.id)
    Console(markup=False).print(f"Erased {leaving.name} with {people:,} entries.")


@tenant.command()
def export_person(
    tenant: TenantArgument,
    entry: Annotated[str, typer.Argument(help="Id or externalId of the person's entry.")],
    folder: Annotated[Path, typer.Argument(help="New folder for `person.json` and the photo.")],
) -> None:
    """Write all that is held on one enrolled person into a folder that only its owner can read.

    `person.json` has the entry, its templates, the results and webhooks
    that name it, and its records in the audit trail. All of it is in the
    clear. It can run beside a server. The audit trail records the export.

    Example: likeness tenant export-person acme customer-17 customer-17/
    """
    if folder.exists():
        raise InvalidInput(f"{folder} exists already: the export needs a new folder.")
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.by_name(tenant)
        found = deployment.database.read_now(partial(personal_data, tenant=owner, name=entry))
        photo = None
        if found.image_id:
            with closing(ImageStore(deployment.settings.images_address)) as images:
                photo = asyncio.run(images.get(owner.id, found.image_id, owner.cipher))
        deployment.database.write_now(lambda c: note(c, Action.EXPORT, found.entry_id, tenant=owner.id))
        folder.mkdir(mode=0o700, parents=True)
        create_whole(folder / "person.json", json.dumps(found.document, indent=2, ensure_ascii=False).encode())
        if photo is not None:
            create_whole(folder / f"photo{ending_of(photo)}", photo)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(f"entry {found.entry_id} is written to {folder}")
    if found.image_id and photo is None:
        console.print("Its photo is missing in the image store.")


@tenant.command(name="privacy-record")
def write_privacy_record(
    tenant: TenantArgument,
    output: Annotated[
        Path | None, typer.Option(help="New file for the document. By default it is printed.", show_default=False)
    ] = None,
) -> None:
    """Write the record of processing (GDPR Art. 30) and the impact assessment (Art. 35) of a tenant, to complete.

    The document is Markdown. It says what is stored, where and how long,
    by which keys it is sealed, who gets it, and what the server connects
    to. Each thing that only you know is a blank that begins with
    [FILL IN:. It has no data of a person. It can run beside a server.

    Example: likeness tenant privacy-record acme --output acme.md
    """
    with closing(open_deployment(Settings())) as deployment:
        document = privacy_record(processing_of(deployment, deployment.tenants.by_name(tenant)))
    if output is None:
        typer.echo(document, nl=False)
        return
    create_whole(output, document.encode())
    Console(markup=False, highlight=False, soft_wrap=True).print(
        f"{output} is written, with {blanks(document)} blanks to fill."
    )


async def _delete_photos(images: ImageStore, leaving: TenantRow) -> None:
    names = [name async for batch in images.ids(leaving.id) for name in batch]
    names += [name async for batch in images.aside(leaving.id) for name, _ in batch]
    with progress_bar() as bar:
        task = bar.add_task("deleting photos", total=len(names))
        for start in range(0, len(names), CONCURRENT_FILES):
            some = names[start : start + CONCURRENT_FILES]
            await asyncio.gather(*(images.delete(leaving.id, name) for name in some))
            bar.advance(task, len(some))
