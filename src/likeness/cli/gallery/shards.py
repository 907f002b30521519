"""``likeness shards ...``."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.opening import open_deployment
from likeness.cli.tables import id_column, print_table
from likeness.errors import SetupError
from likeness.gallery.sharded.layout import MEGABYTE, Layout
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.gallery.sharded.ray_cluster import NamedShards

shards = typer.Typer(help="The shards that hold the galleries, with LIKENESS_GALLERY=ray.", no_args_is_help=True)


@shards.command(name="list")
def list_shards() -> None:
    """List the deployment's shards, with what each one holds.

    Shards of another layout than the settings' are marked "unused".
    """
    table = Table(id_column("shard"), "state", "galleries", "refused", "entries", "memory (MB)")
    with _found() as (found, layout):
        for name, status in found.statuses().items():
            if status is None:
                table.add_row(name, "no answer", "", "", "", "")
                continue
            state = "loaded" if status.loaded else "loading"
            memory = f"{status.nbytes / MEGABYTE:,.0f} of {status.limit_bytes / MEGABYTE:,.0f}"
            row = (f"{status.galleries:,}", f"{status.refused:,}", f"{status.entries:,}", memory)
            table.add_row(name, state if layout.has(name) else f"{state}, unused", *row)
    print_table(table)


@shards.command()
def remove(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also remove those in use. Stop all servers first: else they start new ones.")
    ] = False,
) -> None:
    """End shards of another layout than the settings', and free their memory.

    Nothing is lost: shards hold copies of what is in the database.

    Example: likeness shards remove
    """
    with _found() as (found, layout):
        ended = found.remove(lambda name: everything or not layout.has(name))
    Console(markup=False).print(f"{ended} shards ended")


@contextmanager
def _found() -> Iterator[tuple["NamedShards", Layout]]:
    settings = Settings()
    if not settings.shares_galleries:
        raise SetupError("there are no shards: LIKENESS_GALLERY is not `ray`")
    from likeness.gallery.sharded import ray_cluster  # noqa: PLC0415  Ray is optional

    with closing(open_deployment(settings)) as deployment:
        layout = Layout.of(deployment)
    ray_cluster.connect(settings.ray_address, layout.namespace)
    try:
        yield ray_cluster.NamedShards(layout.namespace), layout
    finally:
        ray_cluster.disconnect()
