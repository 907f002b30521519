"""*Clients*: the programs that call the API for the tenant."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from likeness.access.clients import Clients
from likeness.access.repository import ClientRow
from likeness.access.scopes import Scope
from likeness.administration.client_endpoints import ClientsComponent
from likeness.administration.schemas import ClientReply, ClientRequest
from likeness.console.composition import ConsoleComponent
from likeness.console.forms import read_page_form
from likeness.console.rendering import PageRoute, page, see_other
from likeness.console.requires import AdministratorVisit, ViewerVisit, Visitor
from likeness.errors import InvalidInput, NotFound
from likeness.kit.ids import is_uuid
from likeness.web.wire import faults_of

router = APIRouter(prefix="/console/clients", include_in_schema=False, route_class=PageRoute)
DAY_SECONDS = 86400.0


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
    seconds = None if wanted.secret_days is None else wanted.secret_days * DAY_SECONDS
    made = await asyncio.to_thread(
        clients.create, visitor.tenant.id, wanted.name, set(wanted.scopes), secret_seconds=seconds
    )
    return page(request, "client-made.html", visitor=visitor, made=made, client=wanted.name, origin=console.origin)


@router.post("/{client_id}/rotate")
async def rotate(
    client_id: str, request: Request, visitor: AdministratorVisit, clients: ClientsComponent, console: ConsoleComponent
) -> HTMLResponse:
    """Give a client a new secret, beside which the old ones work for a day, and show it once."""
    row = await _own(clients, visitor, client_id)
    made = await asyncio.to_thread(clients.rotate_secret, row.id, overlap_seconds=DAY_SECONDS)
    return page(request, "client-made.html", visitor=visitor, made=made, client=row.name, origin=console.origin)


@router.post("/{client_id}/disable")
async def disable(client_id: str, visitor: AdministratorVisit, clients: ClientsComponent) -> RedirectResponse:
    """Refuse a client from now on."""
    row = await _own(clients, visitor, client_id)
    await asyncio.to_thread(clients.disable, row.id)
    return see_other("/console/clients")


async def _own(clients: Clients, visitor: Visitor, client_id: str) -> ClientRow:
    if not is_uuid(client_id):
        raise NotFound("There is no such client.")
    return await asyncio.to_thread(clients.of, visitor.tenant.id, client_id.lower())
