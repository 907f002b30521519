"""``likeness gallery reindex``, ``status``, ``cutover``, ``rollback``, ``finish``, ``abandon``.

The server owns the galleries. So these commands write a request into the database, and watch the server do the work.
"""

import csv
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.cli.tables import AsJson, print_json
from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackId, PackIdentity
from likeness.gallery.bulk.exporting import spreadsheet_text
from likeness.gallery.reindex.repository import Reindex, ReindexRepository, ReindexRequest, ReindexState
from likeness.gallery.reindex.requests import NEXT_STEP, ReindexRequests, is_at_rest
from likeness.gallery.repository import GalleryRepository
from likeness.settings import Settings
from likeness.store.ownership import is_owned
from likeness.tenants.service import Tenant

WATCH_SECONDS = 0.3
TenantOption = Annotated[
    str | None, typer.Option(help="Name or id of one tenant.", show_default="every tenant concerned")
]
Wait = Annotated[bool, typer.Option(help="Wait until the server has done the work.")]


class Orphans(StrEnum):
    """What happens to entries without a template of the new pack."""

    KEEP = "keep"
    DROP = "drop"


def reindex(
    pack: Annotated[str, typer.Option(help="Id of the pack to move to; see `likeness packs list`.")],
    tenant: TenantOption = None,
    *,
    wait: Wait = True,
) -> None:
    """Make templates of another pack from the stored photos, and compare the two packs.

    The running server does the work, and still answers with the old pack.
    New entries get templates of both packs. Callers see no change until
    `likeness gallery cutover`. You can interrupt this command or the
    server at any time. Run the command again to watch the progress.

    Example: likeness gallery reindex --pack best
    """
    with closing(open_deployment(Settings())) as deployment:
        asked = _requests(deployment).ask(_chosen(deployment, tenant), PackId(pack), named=tenant is not None)
        if _server_at_work(deployment) and wait:
            _see_through(deployment, asked)


def status(
    tenant: TenantOption = None,
    *,
    ids: Annotated[
        bool, typer.Option("--ids", help="List the entries without a template of the new pack, as CSV.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the progress of each move to another pack, the answers that would change, and the entries that stay behind.

    Entries stay behind with the old pack if they have no template of the
    new one.
    """
    with closing(open_deployment(Settings())) as deployment:
        moving = _requests(deployment).find(_chosen(deployment, tenant))
        if ids:
            _list_orphans(deployment, moving)
        elif as_json:
            print_json([_facts(deployment, tenant, row) for tenant, row in moving.items()])
        elif moving:
            _report(deployment, moving)
        else:
            Console(markup=False).print("No gallery is being moved to another pack.")


def cutover(tenant: TenantOption = None, *, wait: Wait = True) -> None:
    """Answer with the new pack, in one step. The old pack stays up to date until `likeness gallery finish`."""
    _request(ReindexRequest.CUT_OVER, tenant, wait=wait)


def rollback(tenant: TenantOption = None, *, wait: Wait = True) -> None:
    """Answer with the old pack again, in one step. Nothing is lost, and `likeness gallery cutover` can follow again."""
    _request(ReindexRequest.ROLL_BACK, tenant, wait=wait)


def finish(
    orphans: Annotated[
        Orphans,
        typer.Option(
            help="What to do with entries without a template of the new pack (photo deleted, or no face found). keep: "
            "searches find them through the old pack. drop: erase them permanently."
        ),
    ],
    tenant: TenantOption = None,
    *,
    wait: Wait = True,
) -> None:
    """Stay with the new pack, and delete the old templates. Only another re-index leads back to the old pack.

    Example: likeness gallery finish --orphans keep
    """
    _request(ReindexRequest.KEEP_ORPHANS if orphans is Orphans.KEEP else ReindexRequest.DROP_ORPHANS, tenant, wait=wait)


def abandon(tenant: TenantOption = None, *, wait: Wait = True) -> None:
    """Stay with the old pack, and delete the new templates. After a cut-over, roll back first."""
    _request(ReindexRequest.ABANDON, tenant, wait=wait)


def _request(wish: ReindexRequest, tenant: str | None, *, wait: bool) -> None:
    with closing(open_deployment(Settings())) as deployment:
        moving = _requests(deployment).wish(_chosen(deployment, tenant), wish, named=tenant is not None)
        if _server_at_work(deployment) and wait:
            _see_through(deployment, moving)


def _chosen(deployment: Deployment, name: str | None) -> list[Tenant]:
    return deployment.tenants.all() if name is None else [deployment.tenants.by_name(name)]


def _requests(deployment: Deployment) -> ReindexRequests:
    return ReindexRequests(deployment.database, deployment.clock)


def _server_at_work(deployment: Deployment) -> bool:
    at_work = is_owned(deployment.settings.data_dir)
    if not at_work:
        Console(markup=False).print(
            f"No server runs on {deployment.settings.data_dir}. Your request is stored. Start `likeness serve`, which "
            "carries it out. `likeness gallery status` shows the progress.",
            soft_wrap=True,
        )
    return at_work


def _see_through(deployment: Deployment, tenants: Iterable[Tenant]) -> None:
    """Watch the work and print its result. Exit with status 1 if the work failed or did not end."""
    _watch(deployment, tenants)
    _report(deployment, tenants)
    rows = [deployment.database.read_now(ReindexRepository(tenant.id).find) for tenant in tenants]
    unfinished = any(row and not row.error and not is_at_rest(row) for row in rows)
    if unfinished:
        Console(stderr=True, markup=False).print(
            "The server ended before the work was done. Start `likeness serve`, which continues it.", soft_wrap=True
        )
    if unfinished or any(row and row.error for row in rows):
        raise typer.Exit(1)


def _watch(deployment: Deployment, tenants: Iterable[Tenant]) -> None:
    """Show the progress until the work is done or has failed, or the server ends."""
    with progress_bar() as bar:
        tasks = {tenant: bar.add_task(tenant.name, total=None) for tenant in tenants}
        while tasks and is_owned(deployment.settings.data_dir):
            for tenant, task in list(tasks.items()):
                row = deployment.database.read_now(ReindexRepository(tenant.id).find)
                if row is not None:
                    bar.update(task, description=f"{tenant.name}: {row.state}", completed=row.done, total=row.total)
                if row is None or row.error or is_at_rest(row):
                    del tasks[tenant]
            time.sleep(WATCH_SECONDS if tasks else 0)


def _report(deployment: Deployment, tenants: Iterable[Tenant]) -> None:
    console = Console()
    for tenant in tenants:
        rows = ReindexRepository(tenant.id)
        row = deployment.database.read_now(rows.find)
        packs = deployment.database.read_now(GalleryRepository(tenant.id).packs)
        table = Table(show_header=False, box=None, title=f"[bold]{escape(tenant.name)}[/]", title_justify="left")
        table.add_row("answers with", packs.pack if packs else "")
        if row:
            orphans = deployment.database.read_now(partial(rows.count_orphans, pack=row.identity))
            for name, value in _lines(row, orphans):
                table.add_row(name, value)
        console.print(table)


def _facts(deployment: Deployment, tenant: Tenant, row: Reindex) -> dict[str, Any]:
    packs = deployment.database.read_now(GalleryRepository(tenant.id).packs)
    return {
        "tenant": tenant.name,
        "answersWith": packs.pack if packs else None,
        "movesTo": row.pack,
        "state": row.state,
        "wish": row.wish,
        "done": row.done,
        "total": row.total,
        "staysBehind": deployment.database.read_now(
            partial(ReindexRepository(tenant.id).count_orphans, pack=row.identity)
        ),
        "report": row.report,
        "error": row.error,
    }


def _lines(row: Reindex, orphans: dict[str, int]) -> Iterator[tuple[str, str]]:
    yield "moving to", row.pack
    yield "state", f"{row.state}{f', wanted: {row.wish}' if row.wish else ''}"
    yield "photos", f"{row.done:,} of {row.total:,} worked on"
    if row.state in {ReindexState.READY, ReindexState.CUT_OVER}:
        kinds = ", ".join(f"{reason} {count:,}" for reason, count in sorted(orphans.items()))
        yield "stay behind", f"{sum(orphans.values()):,} entries{f' ({kinds})' if kinds else ''}; ids: `status --ids`"
    if row.report:
        yield "compared", _compared(row.report)
        for change in row.report["changes"][:5]:
            yield "", f"{change['entry']}: {_hit(change['old'])} → {_hit(change['new'])}"
    if row.error:
        yield "error", f"[red]{escape(row.error)}[/]"
    yield "next", NEXT_STEP[row.state]


def _compared(report: dict[str, Any]) -> str:
    return (
        f"{report['compared']:,} entries, each with all others: {report['changed']:,} answers would change; "
        f"found {report['foundByOld']:,} before and {report['foundByNew']:,} after; "
        f"the nearest entry is the same for {report['sameBestEntry']:,}"
    )


def _hit(hit: dict[str, Any] | None) -> str:
    return f"{hit['entry']} ({hit['score']:.4f})" if hit else "nobody"


def _list_orphans(deployment: Deployment, moving: Iterable[Tenant]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("tenant", "oneToNVerificationId", "externalId", "reason"))

    def write(connection: Connection, tenant: Tenant, pack: PackIdentity) -> None:
        for orphan in ReindexRepository(tenant.id).orphans(connection, pack):
            out.writerow((tenant.name, orphan.entry_id, spreadsheet_text(orphan.external_id or ""), orphan.reason))

    for tenant in moving:
        row = deployment.database.read_now(ReindexRepository(tenant.id).find)
        if row:
            deployment.database.read_now(partial(write, tenant=tenant, pack=row.identity))
