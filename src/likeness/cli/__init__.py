"""The ``likeness`` command."""

import logging
import os
import sys
from typing import Annotated, ClassVar, NoReturn

import typer

from likeness import __version__
from likeness.cli.lazy import LazyGroup
from likeness.errors import LikenessError, SetupError
from likeness.kit.logs import configure_logging

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
        "record": "likeness.cli.measuring.record:record",
        "attack-suite": "likeness.cli.measuring.attack_suite:attack_suite",
        "calibrate-liveness": "likeness.cli.measuring.recordings:calibrate_liveness",
        "tenant": "likeness.cli.tenant:tenant",
        "client": "likeness.cli.client:client",
        "gallery": "likeness.cli.gallery.commands:gallery",
        "packs": "likeness.cli.packs:packs",
        "webhook": "likeness.cli.webhook:webhook",
        "move": "likeness.cli.move:move",
        "backup": "likeness.cli.oversight.backup:backup",
        "restore": "likeness.cli.oversight.backup:restore",
        "keys": "likeness.cli.keys:keys",
        "audit": "likeness.cli.oversight.audit:audit",
        "evidence": "likeness.cli.oversight.evidence:evidence",
        "doctor": "likeness.cli.oversight.doctor:doctor",
        "shards": "likeness.cli.gallery.shards:shards",
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
    _warn_of_unknown_settings()
    try:
        app()
    except (SetupError, LikenessError) as error:
        _give_up(str(error))
    except OSError as error:
        _give_up(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        if (faults := _faults(error)) is None:
            raise
        _give_up(faults)


# The imports below take a third of `likeness --version`, which needs none of them.


def _warn_of_unknown_settings() -> None:
    if any(name.upper().startswith("LIKENESS_") for name in os.environ):
        from likeness.settings import unknown_settings  # noqa: PLC0415

        for doubt in unknown_settings(os.environ):
            log.warning("%s", doubt)


def _faults(error: ValueError) -> str | None:
    """Describe an error of pydantic; None for another error."""
    from pydantic import ValidationError  # noqa: PLC0415

    from likeness.web.wire import faults_of  # noqa: PLC0415

    return faults_of(error) if isinstance(error, ValidationError) else None


def _give_up(why: str) -> NoReturn:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    Console(stderr=True).print(f"[red]likeness:[/] {escape(why)}", highlight=False)
    sys.exit(1)
