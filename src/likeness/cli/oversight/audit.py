"""``likeness audit ...``."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from likeness.audit.export import cef_lines, json_lines
from likeness.audit.receipts import write_receipt
from likeness.audit.seals import SealPlace
from likeness.audit.verification import TrailCheck
from likeness.cli.opening import open_deployment
from likeness.errors import InvalidInput
from likeness.settings import Settings

audit = typer.Typer(help="The audit trail: verify it, export it, and sign receipts of erasures.", no_args_is_help=True)


class TrailFormat(StrEnum):
    """A form of the export."""

    JSONL = "jsonl"
    CEF = "cef"


@audit.command()
def verify(
    seal: Annotated[
        str | None,
        typer.Option(
            help="A seal that you kept, as the server's log and this command show it: NUMBER:HASH.", show_default=False
        ),
    ] = None,
) -> None:
    """Check every record of the audit trail. Ends with status 1 if the trail was altered.

    Finds records that were changed, deleted, moved or inserted, and
    records that were cut off since the last seal. Keep the newest seal
    elsewhere, and give it with --seal next time: then the check also finds
    that the end of the trail was cut off with its seals. Without --seal
    the seal in the data folder's file `audit.seal` is compared.

    Example: likeness audit verify --seal 17:9f86d081884c7d65…
    """
    given = _place(seal) if seal else None
    with closing(open_deployment(Settings())) as deployment:
        kept = given or deployment.seals.lacks()
        check = TrailCheck(deployment.seals.key, deployment.seals.signer, kept)
        report = deployment.database.read_now(check.run)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for fault in report.faults:
        console.print(fault)
    console.print(f"records  {report.records:,}, of them since the newest seal {report.unsealed:,}")
    if report.newest.number:
        console.print(f"newest seal  {report.newest}")
    console.print("The audit trail was altered." if report.faults else "The audit trail is whole.")
    if report.faults:
        raise typer.Exit(1)


@audit.command()
def export(
    form: Annotated[TrailFormat, typer.Option("--format", help="JSON Lines with seals, or CEF.")] = TrailFormat.JSONL,
    since: Annotated[
        datetime | None, typer.Option(help="Only records from this time on, in UTC.", show_default=False)
    ] = None,
) -> None:
    """Print the audit trail, in its order of time.

    JSON Lines has the seals at its end. Anybody can verify it with the
    public key that `likeness audit key` prints. It can run beside a server.

    Example: likeness audit export --format cef --since 2026-11-01
    """
    lines = {TrailFormat.JSONL: json_lines, TrailFormat.CEF: cef_lines}[form]
    start = since.replace(tzinfo=UTC).timestamp() if since else 0.0
    with closing(open_deployment(Settings())) as deployment:
        deployment.database.read_now(partial(_print, lines=partial(lines, since=start)))


@audit.command()
def receipt(
    object_id: Annotated[str, typer.Argument(help="Id of the erased entry, session or tenant.")],
) -> None:
    """Print a signed receipt of an erasure: a JWS with the id, the time, and who erased it.

    The receipt rests on the record of the erasure in the audit trail.
    The public key of `likeness audit key` verifies it.

    Example: likeness audit receipt 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    settings = Settings()
    with closing(open_deployment(settings)) as deployment:
        written = partial(
            write_receipt,
            seals=deployment.seals,
            object_id=object_id,
            issuer=settings.origin,
            now=deployment.clock.now(),
        )
        typer.echo(deployment.database.read_now(written))


@audit.command()
def key() -> None:
    """Print the public key of seals and receipts as a JWK (RFC 8037)."""
    with closing(open_deployment(Settings())) as deployment:
        typer.echo(json.dumps(deployment.seals.signer.public_jwk))


def _print(connection: Connection, lines: Callable[[Connection], Iterator[str]]) -> None:
    for line in lines(connection):
        typer.echo(line)


def _place(seal: str) -> SealPlace:
    try:
        return SealPlace.read(seal)
    except ValueError as error:
        raise InvalidInput(f"--seal: {error}, as `likeness audit verify` shows it.") from error
