"""``likeness client ...``."""

from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.access.clients import ClientCredentials
from likeness.access.scopes import Scope
from likeness.cli.arguments import TenantArgument
from likeness.cli.tables import id_column, print_table
from likeness.deployment import open_deployment
from likeness.errors import InvalidInput
from likeness.settings import Settings

client = typer.Typer(help="API clients, whose id and secret get access tokens.", no_args_is_help=True)
ClientId = Annotated[str, typer.Argument(help="The client's id.")]


@client.command()
def create(
    tenant: TenantArgument,
    name: Annotated[str, typer.Option(help="A name of your choice, such as the client's purpose.")] = "client",
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="A permission of the client. Repeat the option for several.", show_default=False),
    ] = None,
) -> None:
    """Make a client with the named permissions, and show its secret once.

    The deployment keeps only a hash of the secret.

    Example: likeness client create acme --scope KYC_FACE_MATCH
    """
    if not scope:
        raise InvalidInput(f"Name at least one permission with --scope. The permissions are: {', '.join(Scope)}.")
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.row_by_name(tenant)
        show_credentials(deployment.clients.create(owner.id, name, scope))


@client.command(name="list")
def list_clients(tenant: TenantArgument) -> None:
    """List a tenant's clients and their permissions."""
    table = Table(id_column("id"), "name", "permissions", "")
    with closing(open_deployment(Settings())) as deployment:
        for row in deployment.clients.of_tenant(deployment.tenants.row_by_name(tenant).id):
            table.add_row(row.id, row.name, " ".join(row.scopes), "disabled" if row.disabled else "")
    print_table(table)


@client.command()
def disable(client_id: ClientId) -> None:
    """Disable a client: it gets no new tokens.

    Its present tokens work until they expire.
    """
    with closing(open_deployment(Settings())) as deployment:
        deployment.clients.disable(client_id)


@client.command()
def rotate(client_id: ClientId) -> None:
    """Give a client a new secret. The old secret stops working at once."""
    with closing(open_deployment(Settings())) as deployment:
        show_credentials(deployment.clients.rotate_secret(client_id))


def show_credentials(credentials: ClientCredentials) -> None:
    """Print a client's id and its secret, which cannot be shown again."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"client_id      {credentials.client_id}")
    console.print(f"client_secret  {credentials.client_secret}")
