"""``likeness gallery hold``, ``release`` and ``holds``."""

from contextlib import closing
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Column, Table

from likeness.cli.arguments import TenantArgument
from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.errors import NotFound
from likeness.gallery.endpoints import entry_reply, known_id
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.schemas import Reference
from likeness.settings import Settings

_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)
EntryArgument = Annotated[str, typer.Argument(help="The entry's id (oneToNVerificationId).")]


def hold(
    tenant: TenantArgument,
    entry: EntryArgument,
    reference: Annotated[str, typer.Argument(help="Why it is held, such as the number of a case.")],
) -> None:
    """Put an entry under a legal hold, so that nothing erases it or its photo.

    Its time may end, and calls that delete it answer 409. The hold ends with
    `likeness gallery release`. It can run beside a server.

    Example: likeness gallery hold acme 5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2 case-17
    """
    _set(tenant, entry, _REFERENCE.validate_python(reference))


def release(tenant: TenantArgument, entry: EntryArgument) -> None:
    """End the legal hold of an entry.

    A server erases an entry whose time is over within a minute. It can run
    beside a server.

    Example: likeness gallery release acme 5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2
    """
    _set(tenant, entry, None)


def holds(tenant: TenantArgument, *, as_json: AsJson = False) -> None:
    """List the entries of a tenant that are under a legal hold."""
    with closing(open_deployment(Settings())) as deployment:
        rows = GalleryRepository(deployment.tenants.by_name(tenant).id)
        held = [entry_reply(entry) for entry in deployment.database.read_now(rows.held)]
    if as_json:
        print_json(held)
        return
    table = Table(id_column("id"), "externalId", Column("hold", overflow="fold"), "expires")
    for each in held:
        expires = each.expires_at or "never"
        table.add_row(each.one_to_n_verification_id, each.external_id or "", each.legal_hold, expires)
    print_table(table)


def _set(tenant: str, entry_id: str, reference: str | None) -> None:
    with closing(open_deployment(Settings())) as deployment:
        rows = GalleryRepository(deployment.tenants.by_name(tenant).id)
        known = known_id(entry_id)
        changed = deployment.database.write_now(lambda c: rows.hold(c, known, reference), gallery_of=rows.tenant_id)
    if changed is None:
        raise NotFound("There is no such entry.")
    state = f"is under the legal hold {reference}" if reference else "is under no legal hold"
    Console(markup=False, highlight=False, soft_wrap=True).print(f"The entry {changed.id} {state}.")
