"""``likeness shards ...``."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.errors import SetupError
from likeness.gallery.sharded.layout import MEGABYTE, Layout
from likeness.settings import Settings

shards = typer.Typer(
    help="The deployment's actors on a Ray cluster: shards, which hold the galleries (LIKENESS_GALLERY=ray), and photo "
    "actors (LIKENESS_ENGINE=ray).",
    no_args_is_help=True,
)


@shards.command(name="list")
def list_shards(*, as_json: AsJson = False) -> None:
    """List the deployment's shards and photo actors, with what each one holds.

    Those that the settings do not name are marked "unused".
    """
    table = Table(id_column("actor"), "state", "galleries", "refused", "entries", "memory (MB)")
    shown: list[dict[str, object]] = []
    with _connected() as (layout, actors):
        from likeness.engine.analysts import photo_actors  # noqa: PLC0415  Ray is optional
        from likeness.gallery.sharded.ray_cluster import NamedShards  # noqa: PLC0415  as above

        for name, status in NamedShards(layout.namespace).statuses().items():
            shown.append({"actor": name, "used": layout.has(name), **(asdict(status) if status else {"loaded": None})})
            if status is None:
                table.add_row(name, "no answer", "", "", "", "")
                continue
            state = "loaded" if status.loaded else "loading"
            memory = f"{status.nbytes / MEGABYTE:,.0f} of {status.limit_bytes / MEGABYTE:,.0f}"
            row = (f"{status.galleries:,}", f"{status.refused:,}", f"{status.entries:,}", memory)
            table.add_row(name, state if layout.has(name) else f"{state}, unused", *row)
        for name, packs in photo_actors.statuses(layout.namespace).items():
            shown.append({"actor": name, "used": name in photo_actors.names(actors), "packs": packs})
            state = "no answer" if packs is None else ", ".join(packs) or "loading"
            table.add_row(name, state if name in photo_actors.names(actors) else f"{state}, unused", "", "", "", "")
    if as_json:
        print_json(shown)
    else:
        print_table(table)


@shards.command()
def remove(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also remove those in use. Stop all servers first: else they start new ones.")
    ] = False,
) -> None:
    """End shards and photo actors that the settings do not name, and free their memory.

    Nothing is lost: shards hold copies of what is in the database.

    Example: likeness shards remove
    """
    with _connected() as (layout, actors):
        from likeness.engine.analysts import photo_actors  # noqa: PLC0415  Ray is optional
        from likeness.gallery.sharded.ray_cluster import NamedShards  # noqa: PLC0415  as above

        ended = NamedShards(layout.namespace).remove(lambda name: everything or not layout.has(name))
        ended_too = photo_actors.end_surplus(layout.namespace, 0 if everything else actors)
    Console(markup=False).print(f"{ended} shards and {ended_too} photo actors ended")


@contextmanager
def _connected() -> Iterator[tuple[Layout, int]]:
    """Connect to the cluster. Give the layout and the number of photo actors that the settings name."""
    settings = Settings()
    if not (settings.shares_galleries or settings.engine == "ray"):
        raise SetupError("there are no actors: neither LIKENESS_GALLERY nor LIKENESS_ENGINE is `ray`")
    from likeness.kit.cluster.connection import connect, disconnect  # noqa: PLC0415  Ray is optional

    with closing(open_deployment(settings)) as deployment:
        layout = Layout.of(deployment)
    connect(settings.ray_address, layout.namespace)
    try:
        yield layout, settings.photo_actors if settings.engine == "ray" else 0
    finally:
        disconnect()
