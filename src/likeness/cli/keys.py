"""``likeness keys ...``."""

from contextlib import closing

import typer
from rich.console import Console

from likeness.deployment import open_deployment
from likeness.settings import Settings

keys = typer.Typer(help="The keys that sign access tokens and results.", no_args_is_help=True)


@keys.command()
def rotate() -> None:
    """Make a new signing key; the old one stays published until everything that it signed has ended.

    Restart the server after it: a running one signs with the old key until then.
    """
    with closing(open_deployment(Settings())) as deployment:
        kid = deployment.signing_keys.rotate()
    Console(markup=False).print(f"New signing key {kid}; it signs from the next start of the server on.")
