"""``likeness tenant user ...``."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.arguments import TenantArgument
from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, print_json, print_table
from likeness.console.accounts.roles import Role
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.console.accounts.service import Accounts, NewSecrets
    from likeness.deployment import Deployment

user = typer.Typer(help="People of a tenant who sign in to the console, at /console.", no_args_is_help=True)
AccountName = Annotated[str, typer.Argument(help="The account's name, such as an e-mail address.")]


@user.command()
def add(
    tenant: TenantArgument,
    name: AccountName,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.VIEWER,
) -> None:
    """Make an account, and show its password and its authenticator secret once.

    A viewer sees sessions, usage and clients. A reviewer also sees and
    searches the gallery. An administrator also erases people, and makes
    and disables clients.

    Example: likeness tenant user add acme ana@acme.example --role administrator
    """
    with closing(open_deployment(Settings())) as deployment:
        made = _accounts(deployment).create(deployment.tenants.by_name(tenant), name, role)
        address = f"{deployment.settings.origin}/console"
    _show(made, address)


@user.command(name="list")
def list_users(tenant: TenantArgument, *, as_json: AsJson = False) -> None:
    """List a tenant's accounts, their roles and their state."""
    with closing(open_deployment(Settings())) as deployment:
        found = _accounts(deployment).of_tenant(deployment.tenants.by_name(tenant))
    if as_json:
        print_json([{"name": each.name, "role": each.role, "disabled": each.disabled} for each in found])
        return
    table = Table("name", "role", "")
    for each in found:
        table.add_row(each.name, each.role, "disabled" if each.disabled else "")
    print_table(table)


@user.command()
def role(
    tenant: TenantArgument, name: AccountName, role: Annotated[Role, typer.Argument(help="The new role.")]
) -> None:
    """Give an account another role. The person must sign in again."""
    with closing(open_deployment(Settings())) as deployment:
        _accounts(deployment).change_role(deployment.tenants.by_name(tenant), name, role)


@user.command()
def renew(tenant: TenantArgument, name: AccountName) -> None:
    """Give an account a new password and a new authenticator secret, and show them once. Also enables it."""
    with closing(open_deployment(Settings())) as deployment:
        made = _accounts(deployment).renew(deployment.tenants.by_name(tenant), name)
        address = f"{deployment.settings.origin}/console"
    _show(made, address)


@user.command()
def disable(tenant: TenantArgument, name: AccountName) -> None:
    """Refuse an account from now on, and sign the person out."""
    with closing(open_deployment(Settings())) as deployment:
        _accounts(deployment).disable(deployment.tenants.by_name(tenant), name)


def _accounts(deployment: "Deployment") -> "Accounts":
    from likeness.console.composition import accounts_of_deployment  # noqa: PLC0415  other commands need no argon2

    return accounts_of_deployment(deployment)


def _show(made: "NewSecrets", address: str) -> None:
    """Print what the person needs to sign in, which cannot be shown again, and a QR code for an authenticator."""
    import segno  # noqa: PLC0415  only here

    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(f"address        {address}")
    console.print(f"account        {made.account.name}  {made.account.role}")
    console.print(f"password       {made.password}")
    console.print(f"authenticator  {made.totp_address}")
    if console.is_terminal:
        segno.make(made.totp_address, error="l").terminal(compact=True)
