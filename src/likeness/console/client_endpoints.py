"""*Clients*: the programs that call the API for the tenant."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from likeness.access.scopes import Scope
from likeness.administration.client_endpoints import DAY_SECONDS, ClientsComponent, own_client, seconds_of
from likeness.administration.schemas import ClientReply, ClientRequest
from likeness.console.composition import ConsoleComponent
from likeness.console.forms import read_page_form
from likeness.console.rendering import PageRoute, page, see_other
from likeness.console.requires import AdministratorVisit, ViewerVisit
from likeness.errors import InvalidInput
from likeness.web.wire import faults_of

router = APIRouter(prefix="/console/clients", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def get_clients(
    request: Request, visitor: ViewerVisit, clients: ClientsComponent, console: ConsoleComponent
) -> HTMLResponse:
    """List the clients, with a form to make one."""
    rows = await asyncio.to_thread(clients.of_tenant, visitor.tenant.id)
    shown = [ClientReply.of(row) for row in rows]
    return page(
        request, "clients.html", visitor=visitor, clients=shown, scopes=list(Scope), made=None, origin=console.origin
    )


@router.post("")
async def make_client(
    request: Request, visitor: AdministratorVisit, clients: ClientsComponent, console: ConsoleComponent
) -> HTMLResponse:
    """Make a client, and show its secret once."""
    form = await read_page_form(request)
    fields = {"name": form.one("name"), "scopes": form.all("scope"), "secret_days": form.one("days") or None}
    try:
        wanted = ClientRequest.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(f"{faults_of(error)}.") from error
    made = await asyncio.to_thread(
        clients.create,
        visitor.tenant.id,
        wanted.name,
        set(wanted.scopes),
        secret_seconds=seconds_of(wanted.secret_days),
    )
    return page(request, "client-made.html", visitor=visitor, made=made, client=wanted.name, origin=console.origin)


@router.post("/{client_id}/rotate")
async def rotate(
    client_id: str, request: Request, visitor: AdministratorVisit, clients: ClientsComponent, console: ConsoleComponent
) -> HTMLResponse:
    """Give a client a new secret, beside which the old ones work for a day, and show it once."""
    row = await own_client(clients, visitor.tenant.id, client_id)
    made = await asyncio.to_thread(clients.rotate_secret, row.id, overlap_seconds=DAY_SECONDS)
    return page(request, "client-made.html", visitor=visitor, made=made, client=row.name, origin=console.origin)


@router.post("/{client_id}/disable")
async def disable(client_id: str, visitor: AdministratorVisit, clients: ClientsComponent) -> RedirectResponse:
    """Refuse a client from now on."""
    row = await own_client(clients, visitor.tenant.id, client_id)
    await asyncio.to_thread(clients.disable, row.id)
    return see_other("/console/clients")
