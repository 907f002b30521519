"""``likeness client ...``."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from likeness.access.clients import ClientCredentials
from likeness.access.repository import ClientRow
from likeness.access.schemas import ClientSettings, Scores
from likeness.access.scopes import Scope
from likeness.cli.arguments import TenantArgument
from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, id_column, print_json, print_table
from likeness.errors import InvalidInput
from likeness.settings import Settings

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
client = typer.Typer(help="API clients, whose id and secret get access tokens.", no_args_is_help=True)
ClientId = Annotated[str, typer.Argument(help="The client's id.")]
Days = Annotated[
    float | None, typer.Option("--days", min=0, help="Days until the secret ends. Without it, the secret has no end.")
]


@client.command()
def create(
    tenant: TenantArgument,
    name: Annotated[str, typer.Option(help="A name of your choice, such as the client's purpose.")] = "client",
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="A permission of the client. Repeat the option for several.", show_default=False),
    ] = None,
    days: Days = None,
) -> None:
    """Make a client with the named permissions, and show its secret once.

    The deployment keeps only a hash of the secret.

    Example: likeness client create acme --scope KYC_FACE_MATCH
    """
    if not scope:
        raise InvalidInput(f"Name at least one permission with --scope. The permissions are: {', '.join(Scope)}.")
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.row_by_name(tenant)
        show_credentials(deployment.clients.create(owner.id, name, scope, secret_seconds=_seconds(days)))


@client.command(name="list")
def list_clients(tenant: TenantArgument, *, as_json: AsJson = False) -> None:
    """List a tenant's clients, their permissions and their settings."""
    table = Table(id_column("id"), "name", "permissions", Column("settings", overflow="fold"), "")
    with closing(open_deployment(Settings())) as deployment:
        rows = deployment.clients.of_tenant(deployment.tenants.row_by_name(tenant).id)
    if as_json:
        from likeness.administration.schemas import ClientReply  # noqa: PLC0415  a table needs none of the API

        print_json([ClientReply.of(row) for row in rows])
    else:
        for row in rows:
            state = "disabled" if row.disabled else "" if row.authentic else "altered"
            table.add_row(row.id, row.name, " ".join(row.scopes), _settings(row), state)
        print_table(table)


@client.command(name="set")
def change(
    client_id: ClientId,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="File with a public key of the client (PEM, JWK or JWK Set), which then needs no secret. Repeat the "
            "option for several. They replace the earlier ones; `none` removes them.",
            show_default=False,
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            help="Who signs JWTs for the client with the keys, as `iss` has it. Give --subject, too. `none` stands for "
            "the client itself.",
            show_default=False,
        ),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="The client's name at its issuer, as `sub` has it.", show_default=False)
    ] = None,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(
            help="File with a TLS certificate of the client (PEM), which it then needs for every call. Repeat the "
            "option for several. They replace the earlier ones; `none` removes them.",
            show_default=False,
        ),
    ] = None,
    scores: Annotated[
        Scores | None, typer.Option(help="Whether answers have the score of a comparison, or only its level.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Network or address from which the client may call. Repeat the option for several. They replace the "
            "earlier ones; `any` allows every address. Behind a proxy, set LIKENESS_PROXIES first.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Change a client's settings. A running server uses them within half a minute.

    Prints all settings of the client. If the stored settings are damaged,
    each one that you do not give gets its default.

    Example: likeness client set 5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2 --network 10.1.0.0/16
    """
    given = {
        "keys": _read_keys(key) if key else None,
        "issuer": issuer,
        "subject": subject,
        "certificates": _read_certificates(certificate) if certificate else None,
        "scores": scores,
        "networks": network or None,
    }
    with closing(open_deployment(Settings())) as deployment:
        kept = (deployment.clients.get(client_id).settings or ClientSettings()).model_dump(exclude_unset=True)
        changed = kept | {key: value for key, value in given.items() if value is not None}
        if changed.get("networks") == ["any"]:
            del changed["networks"]
        if issuer == "none":
            changed = {name: value for name, value in changed.items() if name not in {"issuer", "subject"}}
        settings = ClientSettings.model_validate(changed)
        deployment.clients.change_settings(client_id, settings)
    Console().print_json(settings.model_dump_json())


@client.command()
def disable(client_id: ClientId) -> None:
    """Disable a client: the server refuses its secrets and its tokens.

    A running server follows within half a minute.
    """
    with closing(open_deployment(Settings())) as deployment:
        deployment.clients.disable(client_id)


@client.command()
def rotate(
    client_id: ClientId,
    overlap_hours: Annotated[float, typer.Option(min=0, help="Hours for which the older secrets still work.")] = 0,
    days: Days = None,
) -> None:
    """Give a client a new secret. The old secrets stop working at once, or after the overlap.

    Example: likeness client rotate 5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2 --overlap-hours 24
    """
    with closing(open_deployment(Settings())) as deployment:
        show_credentials(
            deployment.clients.rotate_secret(
                client_id, overlap_seconds=overlap_hours * HOUR_SECONDS, secret_seconds=_seconds(days)
            )
        )


@client.command(name="secrets")
def list_secrets(client_id: ClientId, *, as_json: AsJson = False) -> None:
    """List a client's secrets: when each was made, and when it ends."""
    table = Table("secret", "made", "")
    with closing(open_deployment(Settings())) as deployment:
        now, row = deployment.clock.now(), deployment.clients.get(client_id)
    if as_json:
        from likeness.administration.schemas import ClientReply  # noqa: PLC0415  as above

        print_json(ClientReply.of(row).secrets)
    else:
        for secret in row.secrets:
            verb = "works until" if secret.is_live(now) else "ended"
            state = "works" if secret.expires_at is None else f"{verb} {_time(secret.expires_at)}"
            table.add_row(secret.id, _time(secret.created_at), state)
        print_table(table)


@client.command()
def end_secret(
    client_id: ClientId, secret_id: Annotated[str, typer.Argument(help="The secret, as `client secrets` names it.")]
) -> None:
    """End one of a client's secrets at once. A token that it got before works until the token ends."""
    with closing(open_deployment(Settings())) as deployment:
        deployment.clients.end_secret(client_id, secret_id)


def show_credentials(credentials: ClientCredentials) -> None:
    """Print a client's id and its secret, which cannot be shown again."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"client_id      {credentials.client_id}")
    console.print(f"client_secret  {credentials.client_secret}")


def _read_keys(files: list[Path]) -> list[dict[str, str]]:
    from likeness.access.assertions import read_keys  # noqa: PLC0415  a tenth of what most commands import

    return [each for text in _texts(files) for each in read_keys(text)]


def _read_certificates(files: list[Path]) -> list[str | None]:
    from likeness.web.proxies import thumbprint_of  # noqa: PLC0415  Starlette is not needed otherwise

    found = [thumbprint_of(text) for text in _texts(files)]
    if None in found:
        raise InvalidInput("The file has no certificate in PEM.")
    return found


def _texts(files: list[Path]) -> list[str]:
    """Read the files that an option names. The word ``none`` stands for no file."""
    if files == [Path("none")]:
        return []
    if missing := [str(file) for file in files if not file.is_file()]:
        raise InvalidInput(f"There is no file {missing[0]}.")
    return [file.read_text(errors="replace") for file in files]


def _settings(row: ClientRow) -> str:
    return row.settings.model_dump_json(exclude_defaults=True) if row.settings else "damaged"


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * DAY_SECONDS


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(" ", "minutes")
