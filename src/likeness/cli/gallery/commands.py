"""``likeness gallery ...``."""

import typer

from likeness.cli.gallery.bulk import export, import_people
from likeness.cli.gallery.dedupe import dedupe
from likeness.cli.gallery.reindex import abandon, cutover, finish, reindex, rollback, status
from likeness.cli.gallery.sweep import sweep
from likeness.cli.gallery.verify import verify

gallery = typer.Typer(
    help="Galleries: enrol, export and compare many people at once; move to another model pack while the server answers.",
    no_args_is_help=True,
)
gallery.command(name="import")(import_people)
gallery.command()(export)
gallery.command()(dedupe)
gallery.command()(reindex)
gallery.command()(status)
gallery.command()(cutover)
gallery.command()(rollback)
gallery.command()(finish)
gallery.command()(abandon)
gallery.command()(sweep)
gallery.command()(verify)
