"""The ``likeness`` command."""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from likeness import __version__
from likeness.cli.client import client
from likeness.cli.demo import demo as demo_command
from likeness.cli.gallery.commands import gallery as gallery_commands
from likeness.cli.init import init
from likeness.cli.keys import keys
from likeness.cli.measuring.calibrate import calibrate
from likeness.cli.measuring.evaluate import evaluate
from likeness.cli.measuring.evaluate_liveness import evaluate_liveness
from likeness.cli.measuring.quality import quality
from likeness.cli.packs import packs
from likeness.cli.serve import serve
from likeness.cli.tenant import tenant
from likeness.cli.webhook import webhook
from likeness.errors import LikenessError, SetupError
from likeness.kit.logs import configure_logging
from likeness.settings import unknown_settings
from likeness.web.wire import faults_of

log = logging.getLogger("likeness")
app = typer.Typer(
    name="likeness",
    help="A self-hosted Face API: `init` makes a data folder, `serve` runs the server, `demo` shows everything on real photos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  as click calls it
    if wanted:
        typer.echo(f"likeness {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


app.command()(init)
app.command()(serve)
app.command(name="demo")(demo_command)
app.command()(calibrate)
app.command()(evaluate)
app.command()(quality)
app.command(name="evaluate-liveness")(evaluate_liveness)
app.add_typer(tenant, name="tenant")
app.add_typer(client, name="client")
app.add_typer(gallery_commands, name="gallery")
app.add_typer(packs, name="packs")
app.add_typer(webhook, name="webhook")
app.add_typer(keys, name="keys")


def main() -> None:
    """Run a command; what the operator must mend is told in a sentence, not in a traceback."""
    configure_logging("warning")  # `serve` has a level of its own
    for doubt in unknown_settings(os.environ):
        log.warning("%s", doubt)
    try:
        app()
    except ValidationError as error:
        _give_up(faults_of(error))
    except (SetupError, LikenessError) as error:
        _give_up(str(error))
    except OSError as error:
        _give_up(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _give_up(why: str) -> NoReturn:
    Console(stderr=True).print(f"[red]likeness:[/] {escape(why)}", highlight=False)
    sys.exit(1)
