"""The ``likeness`` command."""

import logging
import os
import sys
from typing import Annotated, ClassVar, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from likeness import __version__
from likeness.cli.lazy import LazyGroup
from likeness.errors import LikenessError, SetupError
from likeness.kit.logs import configure_logging
from likeness.settings import unknown_settings
from likeness.web.wire import faults_of

log = logging.getLogger("likeness")


class _Commands(LazyGroup):
    places: ClassVar = {
        "init": "likeness.cli.init:init",
        "serve": "likeness.cli.serve:serve",
        "demo": "likeness.cli.demo.command:demo",
        "calibrate": "likeness.cli.measuring.calibrate:calibrate",
        "evaluate": "likeness.cli.measuring.evaluate:evaluate",
        "quality": "likeness.cli.measuring.quality:quality",
        "evaluate-liveness": "likeness.cli.measuring.evaluate_liveness:evaluate_liveness",
        "tenant": "likeness.cli.tenant:tenant",
        "client": "likeness.cli.client:client",
        "gallery": "likeness.cli.gallery.commands:gallery",
        "packs": "likeness.cli.packs:packs",
        "webhook": "likeness.cli.webhook:webhook",
        "keys": "likeness.cli.keys:keys",
    }


app = typer.Typer(
    cls=_Commands,
    name="likeness",
    help="A self-hosted Face API. First `likeness init`, then `likeness tenant create NAME`, then `likeness serve`. "
    "`likeness demo` shows every call on real photos.",
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


def main() -> None:
    """Run a command. An error that the operator can correct ends it with a sentence, without a traceback."""
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
