"""``likeness keys ...``."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.deployment import key_provider
from likeness.kit.envelope import next_key_file
from likeness.rotation.master_key import prepare_next_key, rotate_master_key, wrap_anew
from likeness.settings import Settings

keys = typer.Typer(help="The keys that sign, seal data, and wrap these keys.", no_args_is_help=True)


@keys.command(name="list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List the signing keys: the one that signs, and older ones that still verify signatures."""
    table = Table(id_column("key"), "")
    with closing(open_deployment(Settings())) as deployment:
        ends = {kid: end and datetime.fromtimestamp(end, UTC) for kid, end in deployment.signing_keys.ends().items()}
    if as_json:
        print_json([{"kid": kid, "endsAt": end.isoformat() if end else None} for kid, end in ends.items()])
        return
    for kid, end in ends.items():
        table.add_row(kid, f"verifies until {end.isoformat(' ', 'minutes')}" if end else "signs")
    print_table(table)


@keys.command()
def rotate() -> None:
    """Make a new signing key. The old one stays published until all that it signed has expired.

    A running server signs with the new key within a minute.
    """
    with closing(open_deployment(Settings())) as deployment:
        kid = deployment.signing_keys.rotate()
    Console(markup=False).print(f"New signing key {kid}; a running server signs with it within a minute.")


@keys.command(context_settings={"ignore_unknown_options": True})  # the id of one key in 64 begins with "-"
def revoke(kid: Annotated[str, typer.Argument(help="The key's id, as `likeness keys list` shows it.")]) -> None:
    """Revoke a leaked signing key: the server then refuses every token and result that it signed.

    Clients get new tokens by themselves. Open the present face sessions
    again. A running server follows within a minute. Backends that verify
    results may keep the published keys for five more minutes.
    """
    with closing(open_deployment(Settings())) as deployment:
        successor = deployment.signing_keys.revoke(kid)
    note = f" New signing key {successor}." if successor else ""
    Console(markup=False).print(f"Revoked {kid}; within a minute a running server refuses all that it signed.{note}")


@keys.command(name="rotate-data")
def rotate_data(
    tenant: Annotated[
        str | None, typer.Option(help="Name or id of one tenant; by default all.", show_default=False)
    ] = None,
) -> None:
    """Give tenants a new data key. A running server then seals all their data again.

    It answers all calls meanwhile. It deletes the older keys when nothing
    is sealed with them, at least ten minutes later. `likeness keys data`
    shows which keys a tenant has.

    Example: likeness keys rotate-data --tenant acme
    """
    console = Console(markup=False, soft_wrap=True)
    with closing(open_deployment(Settings())) as deployment:
        rows = [deployment.tenants.row_by_name(tenant)] if tenant else deployment.tenants.rows()
        for row in rows:
            number = deployment.tenants.rotate_data_key(row.id)
            console.print(f"{row.name}: new data key {number}; a running server seals the data again.")


@keys.command(name="data")
def list_data_keys() -> None:
    """List the data keys of each tenant. With several, data is being sealed again."""
    table = Table(id_column("tenant"), "name", "data keys", "")
    with closing(open_deployment(Settings())) as deployment:
        for row in deployment.tenants.rows():
            numbers = sorted(row.data_keys)
            state = f"key {numbers[-1]} replaces the others" if len(numbers) > 1 else ""
            table.add_row(row.id, row.name, " ".join(map(str, numbers)), state)
    print_table(table)


@keys.command(name="rotate-master")
def rotate_master(
    *,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Only make the next key, beside the present one, for you to copy elsewhere."),
    ] = False,
    to: Annotated[str | None, typer.Option(help="A value of LIKENESS_KEY_PROVIDER.", show_default=False)] = None,
) -> None:
    """Replace the master key: wrap every data key and signing key anew.

    The data stays as it is, and running servers go on. With servers on
    several machines, run it with --prepare first. Then copy the next key
    beside the key file of each other machine, run it without, and rename
    the next key there. Keep a copy of the new key apart from the data.
    Destroy the old one: it still opens old backups.

    With another key provider than a file, rotate the key there. Then this
    command wraps everything with the newest version. --to NAME moves to
    another provider, whose settings are in the environment, too.

    Example: likeness keys rotate-master --to vault:transit/likeness
    """
    console = Console(markup=False, soft_wrap=True)
    with closing(open_deployment(Settings())) as deployment:
        settings = deployment.settings
        if to or not settings.has_key_file:
            target = settings.model_copy(update={"key_provider": to}) if to else settings
            count = wrap_anew(deployment, deployment.keys, key_provider(target))
            console.print(f"{count} keys are wrapped by {target.key_place}. Start every server with this setting.")
            return
        path = deployment.settings.master_key_file
        if prepare:
            prepare_next_key(deployment)
            console.print(f"The next master key is at {next_key_file(path)}.")
            return
        count = rotate_master_key(deployment)
    console.print(f"New master key at {path}: {count} keys are wrapped with it. Copy it to where you keep its copies.")
