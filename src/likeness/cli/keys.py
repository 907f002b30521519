"""``likeness keys ...``."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.opening import open_deployment
from likeness.cli.tables import id_column, print_table
from likeness.settings import Settings

keys = typer.Typer(help="The keys that sign access tokens and results.", no_args_is_help=True)


@keys.command(name="list")
def list_keys() -> None:
    """List the signing keys: the one that signs, and older ones that still verify signatures."""
    table = Table(id_column("key"), "")
    with closing(open_deployment(Settings())) as deployment:
        for kid, ends_at in deployment.signing_keys.ends().items():
            ending = ends_at and datetime.fromtimestamp(ends_at, UTC).isoformat(" ", "minutes")
            table.add_row(kid, f"verifies until {ending}" if ending else "signs")
    print_table(table)


@keys.command()
def rotate() -> None:
    """Make a new signing key. The old one stays published until all that it signed has expired.

    A running server signs with the new key within a minute.
    """
    with closing(open_deployment(Settings())) as deployment:
        kid = deployment.signing_keys.rotate()
    Console(markup=False).print(f"New signing key {kid}; a running server signs with it within a minute.")


@keys.command(context_settings={"ignore_unknown_options": True})  # the id of one key in 64 begins with "-"
def revoke(kid: Annotated[str, typer.Argument(help="The key's id, as `likeness keys list` shows it.")]) -> None:
    """Revoke a leaked signing key: the server then refuses every token and result that it signed.

    Clients get new tokens by themselves. Open the present face sessions
    again. A running server follows within a minute. Backends that verify
    results may keep the published keys for five more minutes.
    """
    with closing(open_deployment(Settings())) as deployment:
        successor = deployment.signing_keys.revoke(kid)
    note = f" New signing key {successor}." if successor else ""
    Console(markup=False).print(f"Revoked {kid}; within a minute a running server refuses all that it signed.{note}")
