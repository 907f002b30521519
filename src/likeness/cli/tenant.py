"""``likeness tenant ...``."""

from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.client import show_credentials
from likeness.deployment import open_deployment
from likeness.engine.base import FacePolicy
from likeness.settings import Settings
from likeness.tenants.schemas import TenantSettings

tenant = typer.Typer(help="Tenants: each has its own gallery, clients, settings and data key.", no_args_is_help=True)


@tenant.command()
def create(name: Annotated[str, typer.Argument(help="A name of your choice, unique in this deployment.")]) -> None:
    """Make a tenant and a first client with every permission; its secret is shown once."""
    with closing(open_deployment(Settings())) as deployment:
        made = deployment.tenants.create(name)
        credentials = deployment.tenants.create_client(made.id, "first")
    Console(markup=False).print(f"tenant         {made.id}  {name}")
    show_credentials(credentials)


@tenant.command(name="list")
def list_tenants() -> None:
    """List the tenants."""
    table = Table("id", "name", "settings")
    with closing(open_deployment(Settings())) as deployment:
        for row in deployment.tenants.all():
            table.add_row(row.id, row.name, row.settings.model_dump_json(exclude_defaults=True))
    Console(markup=False).print(table)


@tenant.command(name="set")
def change(
    name: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    face_policy: Annotated[FacePolicy | None, typer.Option(help="What to do with several faces in a photo.")] = None,
    search_level: Annotated[int | None, typer.Option(min=1, max=5, help="Level at which a search finds.")] = None,
    target_fpir: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.999,
            help="Chance that a search finds a stranger, e.g. 0.001: the threshold then follows the gallery's size instead of a "
            "level. 0 goes back to the level.",
        ),
    ] = None,
    gallery_limit: Annotated[int | None, typer.Option(min=1, help="Most entries of the gallery.")] = None,
) -> None:
    """Change a tenant's settings; a running server takes them up when it starts again."""
    given = {
        "face_policy": face_policy,
        "search_level": search_level,
        "target_fpir": target_fpir,
        "gallery_limit": gallery_limit,
    }
    with closing(open_deployment(Settings())) as deployment:
        row = deployment.tenants.by_name(name)
        kept = row.settings.model_dump(exclude_unset=True)
        changed = kept | {key: value for key, value in given.items() if value is not None}
        settings = TenantSettings.model_validate(changed | {"target_fpir": changed.get("target_fpir") or None})
        deployment.tenants.change_settings(row.id, settings)
    Console().print_json(settings.model_dump_json())
