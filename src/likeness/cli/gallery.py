"""``likeness gallery ...``."""

import typer

from likeness.cli.reindex import abandon, cutover, finish, reindex, rollback, status

gallery = typer.Typer(
    help="Galleries: move them to another model pack while they answer.",
    no_args_is_help=True,
)
gallery.command()(reindex)
gallery.command()(status)
gallery.command()(cutover)
gallery.command()(rollback)
gallery.command()(finish)
gallery.command()(abandon)
