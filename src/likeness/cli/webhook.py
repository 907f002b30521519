"""``likeness webhook ...``."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.arguments import TenantArgument
from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.deployment import Deployment
from likeness.errors import InvalidInput
from likeness.settings import Settings
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.service import Webhooks
from likeness.webhooks.target import basic_header

webhook = typer.Typer(help="Webhooks: calls to a tenant's backend when a face session ends.", no_args_is_help=True)


@webhook.command(name="set")
def put(
    tenant: TenantArgument,
    url: Annotated[str, typer.Argument(help="Address that the server posts results to.")],
    header: Annotated[
        list[str] | None, typer.Option(help="A header to send, as 'Name: value'. Repeat the option for several.")
    ] = None,
    basic: Annotated[
        str | None, typer.Option(help="User name for HTTP Basic. The command asks for the password.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="LIKENESS_WEBHOOK_PASSWORD", help="Password for HTTP Basic. The command then does not ask for it."
        ),
    ] = None,
    *,
    rotate_secret: Annotated[
        bool, typer.Option(help="Make a new signing secret. The old one stops working at once.")
    ] = False,
) -> None:
    """Set a tenant's webhook, and show its signing secret if the secret is new.

    The server signs each delivery with the secret.

    Example: likeness webhook set acme https://backend.example.com/face
    """
    headers = dict(_header(line) for line in header or [])
    if basic is not None:
        headers["Authorization"] = basic_header(basic, password or typer.prompt("Password", hide_input=True))
    with closing(open_deployment(Settings())) as deployment:
        webhooks, owner = _webhooks(deployment), deployment.tenants.by_name(tenant)
        before = webhooks.find(owner)
        target = webhooks.put(owner, url, headers, rotate_secret=rotate_secret)
    console = Console(markup=False)
    console.print(f"url     {target.url}", highlight=False)
    if before is None or before.secret != target.secret:
        console.print(f"secret  {target.secret}", highlight=False)


@webhook.command()
def show(tenant: TenantArgument, *, as_json: AsJson = False) -> None:
    """Show the address and the header names of a tenant's webhook. Header values and the secret stay hidden."""
    with closing(open_deployment(Settings())) as deployment:
        target = _webhooks(deployment).get(deployment.tenants.by_name(tenant))
    if as_json:
        print_json({"url": target.url, "headers": list(target.headers)})
        return
    Console(markup=False).print(
        f"url      {target.url}\nheaders  {', '.join(target.headers) or 'none'}", highlight=False
    )


@webhook.command()
def remove(tenant: TenantArgument) -> None:
    """Remove a tenant's webhook: the server stops posting the tenant's results."""
    with closing(open_deployment(Settings())) as deployment:
        _webhooks(deployment).remove(deployment.tenants.by_name(tenant))


@webhook.command()
def test(tenant: TenantArgument) -> None:
    """Post a signed test call without session data, and print the receiver's answer."""
    with closing(open_deployment(Settings())) as deployment:
        outcome = asyncio.run(_try(deployment, tenant))
    if not outcome.delivered:
        raise InvalidInput(outcome.error or f"the receiver answered {outcome.status}")
    Console().print(f"[green]ok[/]  the receiver answered {outcome.status}")


@webhook.command()
def deliveries(
    tenant: TenantArgument, limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, *, as_json: AsJson = False
) -> None:
    """List a tenant's deliveries, newest first."""
    table = Table(id_column("delivery"), "session", "state", "tries", "last answer", "made", "next try")
    with closing(open_deployment(Settings())) as deployment:
        rows = _webhooks(deployment).deliveries(deployment.tenants.by_name(tenant), limit=limit)
    if as_json:
        from likeness.administration.schemas import DeliveryReply  # noqa: PLC0415  a table needs none of the API

        print_json([DeliveryReply.of(row) for row in rows])
    else:
        for row in rows:
            answer = row.last_error or (str(row.last_status) if row.last_status else "")
            times = (_time(row.created_at), _time(row.next_try_at))
            table.add_row(row.id, row.session_id, row.state, str(row.tries), answer, *times)
        print_table(table)


@webhook.command()
def replay(tenant: TenantArgument, delivery: Annotated[str, typer.Argument(help="The delivery's id.")]) -> None:
    """Queue a delivery again. The running server sends it."""
    with closing(open_deployment(Settings())) as deployment:
        _webhooks(deployment).replay(deployment.tenants.by_name(tenant), delivery)


def _webhooks(deployment: Deployment) -> Webhooks:
    return Webhooks(deployment.database, deployment.clock, deployment.settings.webhook_private_addresses)


async def _try(deployment: Deployment, tenant: str) -> DeliveryOutcome:
    settings = deployment.settings
    sender = Sender.of(settings, deployment.clock)
    try:
        return await _webhooks(deployment).test(
            deployment.tenants.by_name(tenant), deployment.signing_keys.signer(), sender, issuer=settings.origin
        )
    finally:
        await sender.close()


def _header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(":")
    if not separator:
        raise InvalidInput("--header: write it as 'Name: value'.")
    return name.strip(), value.strip()


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
