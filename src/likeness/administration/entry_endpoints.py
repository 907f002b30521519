"""Legal holds of a gallery's entries."""

from fastapi import APIRouter, Request

from likeness.access.requires import TenantsComponent
from likeness.administration.composition import Administrator
from likeness.administration.schemas import LegalHoldRequest
from likeness.gallery.endpoints import EntryId, Service, entry_reply, known_id
from likeness.gallery.schemas import EntryReply
from likeness.web.http import error_responses, json_schema, read_json
from likeness.web.route import DirectRoute

router = APIRouter(prefix="/api/v1/admin/entries", tags=["administration"], route_class=DirectRoute)


@router.put(
    "/{entry_id}/legal-hold",
    operation_id="putLegalHold",
    summary="Put an entry under a legal hold",
    responses=error_responses(400, 401, 403, 404, 413, 415, 429, 503),
    openapi_extra=json_schema(LegalHoldRequest),
)
async def put_legal_hold(
    request: Request, entry_id: EntryId, principal: Administrator, tenants: TenantsComponent, gallery: Service
) -> EntryReply:
    """Keep an entry and its photo against every deletion, also when its time is over.

    The calls that delete them answer 409 until the hold ends. A second hold replaces the reference of the first.
    """
    wanted = await read_json(request, LegalHoldRequest)
    tenant = await tenants.get(principal.tenant_id)
    return entry_reply(await gallery.hold(tenant, known_id(entry_id), wanted.reference))


@router.delete(
    "/{entry_id}/legal-hold",
    status_code=204,
    operation_id="endLegalHold",
    summary="End an entry's legal hold",
    responses=error_responses(401, 403, 404, 429, 503),
)
async def end_legal_hold(
    entry_id: EntryId, principal: Administrator, tenants: TenantsComponent, gallery: Service
) -> None:
    """End the hold. An entry whose time is over is then erased within a minute. Without a hold, do nothing."""
    await gallery.hold(await tenants.get(principal.tenant_id), known_id(entry_id), None)
