"""A tenant's API clients."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError

from likeness.access.clients import Clients
from likeness.access.repository import ClientRow
from likeness.access.requires import AccessComponents, TenantsComponent
from likeness.access.schemas import ClientSettings
from likeness.administration.composition import Administrator
from likeness.administration.schemas import (
    ClientChange,
    ClientList,
    ClientReply,
    ClientRequest,
    CredentialsReply,
    SecretRequest,
)
from likeness.errors import InvalidInput, NotFound
from likeness.kit.ids import is_uuid
from likeness.web.components import Component
from likeness.web.http import error_responses, json_schema, read_json
from likeness.web.route import DirectRoute
from likeness.web.wire import faults_of

router = APIRouter(prefix="/api/v1/admin/clients", tags=["administration"], route_class=DirectRoute)
READING = error_responses(401, 403, 429, 503)
CHANGING = error_responses(400, 401, 403, 413, 415, 429, 503)
HOUR_SECONDS, DAY_SECONDS = 3600.0, 86400.0
ClientPath = Annotated[str, Path(description="The client's id.", json_schema_extra={"format": "uuid"})]
ClientsComponent = Annotated[Clients, Depends(Component(AccessComponents, lambda components: components.clients))]


@router.get("", operation_id="listClients", summary="List clients", responses=READING)
async def list_clients(principal: Administrator, tenants: TenantsComponent, clients: ClientsComponent) -> ClientList:
    """List the tenant's clients, also the disabled ones."""
    tenant = await tenants.get(principal.tenant_id)
    rows = await asyncio.to_thread(clients.of_tenant, tenant.id)
    return ClientList(clients=[ClientReply.of(row) for row in rows])


@router.post(
    "",
    status_code=201,
    operation_id="createClient",
    summary="Make a client",
    responses=CHANGING,
    openapi_extra=json_schema(ClientRequest),
)
async def create_client(
    request: Request, principal: Administrator, tenants: TenantsComponent, clients: ClientsComponent
) -> CredentialsReply:
    """Make a client, which works at once. The answer has its secret, which no other call shows."""
    wanted = await read_json(request, ClientRequest)
    tenant = await tenants.get(principal.tenant_id)
    settings = _settings(ClientSettings(), wanted)
    made = await asyncio.to_thread(
        clients.create,
        tenant.id,
        wanted.name,
        set(wanted.scopes),
        settings=settings,
        secret_seconds=seconds_of(wanted.secret_days),
    )
    return CredentialsReply.of(made)


@router.get("/{client_id}", operation_id="getClient", summary="Read a client", responses=READING | error_responses(404))
async def get_client(client_id: ClientPath, principal: Administrator, clients: ClientsComponent) -> ClientReply:
    """Give a client's permissions and settings, and when its secrets end."""
    return ClientReply.of(await own_client(clients, principal.tenant_id, client_id))


@router.put(
    "/{client_id}",
    operation_id="changeClient",
    summary="Replace a client's permissions",
    responses=CHANGING | error_responses(404),
    openapi_extra=json_schema(ClientChange),
)
async def change_client(
    client_id: ClientPath, request: Request, principal: Administrator, clients: ClientsComponent
) -> ClientReply:
    """Replace what a client may do. A permission that it loses is lost to its present tokens, too.

    This server follows at once, others within half a minute.
    """
    row = await own_client(clients, principal.tenant_id, client_id)
    wanted = await read_json(request, ClientChange)
    settings = _settings(row.settings or ClientSettings(), wanted)
    await asyncio.to_thread(clients.change, row.id, set(wanted.scopes), settings)
    return ClientReply.of(await own_client(clients, principal.tenant_id, client_id))


@router.delete(
    "/{client_id}",
    status_code=204,
    operation_id="disableClient",
    summary="Disable a client",
    responses=READING | error_responses(404),
)
async def refuse_client(client_id: ClientPath, principal: Administrator, clients: ClientsComponent) -> None:
    """Refuse the client's secrets and its present tokens. It stays in the list."""
    row = await own_client(clients, principal.tenant_id, client_id)
    await asyncio.to_thread(clients.disable, row.id)


@router.post(
    "/{client_id}/secrets",
    status_code=201,
    operation_id="rotateSecret",
    summary="Give a client a new secret",
    responses=CHANGING | error_responses(404, 409),
    openapi_extra=json_schema(SecretRequest),
)
async def rotate_secret(
    client_id: ClientPath, request: Request, principal: Administrator, clients: ClientsComponent
) -> CredentialsReply:
    """Make a new secret. The older ones stop at once, or after the overlap."""
    row = await own_client(clients, principal.tenant_id, client_id)
    wanted = await read_json(request, SecretRequest)
    made = await asyncio.to_thread(
        clients.rotate_secret,
        row.id,
        overlap_seconds=wanted.overlap_hours * HOUR_SECONDS,
        secret_seconds=seconds_of(wanted.secret_days),
    )
    return CredentialsReply.of(made)


@router.delete(
    "/{client_id}/secrets/{secret_id}",
    status_code=204,
    operation_id="endSecret",
    summary="End a client's secret",
    responses=READING | error_responses(404),
)
async def end_secret(
    client_id: ClientPath,
    secret_id: Annotated[str, Path(description="The `secretId`.")],
    principal: Administrator,
    clients: ClientsComponent,
) -> None:
    """End a secret at once. A token that it got before works until the token ends."""
    row = await own_client(clients, principal.tenant_id, client_id)
    await asyncio.to_thread(clients.end_secret, row.id, secret_id)


async def own_client(clients: Clients, tenant_id: str, client_id: str) -> ClientRow:
    """Give a client of the caller's tenant. Raises NotFound."""
    if not is_uuid(client_id):
        raise NotFound("There is no such client.")
    return await asyncio.to_thread(clients.of, tenant_id, client_id.lower())


def _settings(present: ClientSettings, wanted: ClientChange) -> ClientSettings:
    """Give a client's settings with the wanted ones; the operator's, such as keys, stay. Raises InvalidInput."""
    kept = present.model_dump(exclude_unset=True, exclude={"scores", "networks"})
    given = {"scores": wanted.scores} | ({} if wanted.networks is None else {"networks": wanted.networks})
    try:
        return ClientSettings.model_validate(kept | given)
    except ValidationError as error:
        raise InvalidInput(f"{faults_of(error)}.") from error


def seconds_of(days: float | None) -> float | None:
    """Give days in seconds, or None for no end."""
    return None if days is None else days * DAY_SECONDS
