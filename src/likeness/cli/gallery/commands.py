"""``likeness gallery ...``."""

from typing import ClassVar

import typer

from likeness.cli.lazy import LazyGroup


class _Commands(LazyGroup):
    places: ClassVar = {
        "import": "likeness.cli.gallery.bulk:import_people",
        "export": "likeness.cli.gallery.bulk:export",
        "dedupe": "likeness.cli.gallery.dedupe:dedupe",
        "fpir": "likeness.cli.gallery.fpir:fpir",
        "reindex": "likeness.cli.gallery.reindex:reindex",
        "status": "likeness.cli.gallery.reindex:status",
        "cutover": "likeness.cli.gallery.reindex:cutover",
        "rollback": "likeness.cli.gallery.reindex:rollback",
        "finish": "likeness.cli.gallery.reindex:finish",
        "abandon": "likeness.cli.gallery.reindex:abandon",
        "sweep": "likeness.cli.gallery.sweep:sweep",
        "hold": "likeness.cli.gallery.hold:hold",
        "release": "likeness.cli.gallery.hold:release",
        "holds": "likeness.cli.gallery.hold:holds",
        "verify": "likeness.cli.gallery.verify:verify",
    }


gallery = typer.Typer(
    cls=_Commands,
    help="Galleries: import, export, find duplicates and damage, measure FPIR, and move to another model pack while "
    "the server answers.",
    no_args_is_help=True,
)
