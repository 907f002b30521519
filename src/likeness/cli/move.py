"""``likeness move``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from likeness.cli.progress import progress_bar
from likeness.deployment import move_token
from likeness.settings import Settings
from likeness.store.move.moving import DeploymentMove
from likeness.store.move.photos import Advance


def move(
    to_data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of the target. Without the next two options, the database and the photos are in it.",
            show_default=False,
        ),
    ] = None,
    to_database_url: Annotated[
        str | None,
        typer.Option(
            envvar="LIKENESS_TO_DATABASE_URL",
            help="LIKENESS_DATABASE_URL of the target. A password is safer in the variable LIKENESS_TO_DATABASE_URL.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    to_images_url: Annotated[
        str | None, typer.Option(help="LIKENESS_IMAGES_URL of the target.", show_default=False)
    ] = None,
) -> None:
    """Move a deployment to another database, image store or data folder. After an interruption, run it again.

    The settings of the environment name the source, and the options the
    target. What the options do not name stays where it is. The source is
    only read, and stays complete. The target must be empty. Stop all
    servers of both first.

    The command copies every row and every sealed photo, then compares each
    of them. Until it ends, no server starts on the target.

    Example: likeness move --to-database-url postgresql+psycopg://likeness@db/likeness --to-images-url s3://photos
    """
    source = Settings()
    target = _target(source, to_data_dir, to_database_url, to_images_url)
    moving = DeploymentMove(source, target, partial(move_token, settings=source, purpose=target.images_address))
    with progress_bar(transient=True, rate=True) as bars:

        def stage(name: str, total: int) -> Advance:
            task = bars.add_task(name, total=total)
            return lambda more: bars.advance(task, more)

        report = moving.run(stage)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if moving.moves_rows:
        console.print(f"rows    {report.rows:,}, copied now {report.rows_copied:,}; all are equal to the source's")
    if moving.moves_photos:
        console.print(f"photos  {report.photos:,}, copied now {report.photos_copied:,}; all are equal to the source's")
    console.print("The move has ended, and the source is as it was. Start the server with these settings:")
    console.print(f"  LIKENESS_DATA_DIR={target.data_dir}")
    if target.database_url:
        console.print("  LIKENESS_DATABASE_URL=...  (the address of the target)")
    if target.images_url:
        console.print("  LIKENESS_IMAGES_URL=...  (the address of the target)")
    if target.data_dir != source.data_dir:
        console.print(f"The folder of model files was not moved: {source.models_dir}")
    console.print("Erase the source once the target works: a server on it would change photos and rows apart.")


def _target(source: Settings, data_dir: Path | None, database_url: str | None, images_url: str | None) -> Settings:
    """Give the target's settings. Those of another data folder begin with its own database and its own photos."""
    kept = {} if data_dir else {"database_url": source.database_url, "images_url": source.images_url}
    named = {"database_url": database_url, "images_url": images_url}
    changes = {"data_dir": data_dir or source.data_dir, "database_url": None, "images_url": None}
    return source.model_copy(update=changes | kept | {name: value for name, value in named.items() if value})
