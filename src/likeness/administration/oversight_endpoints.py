"""What happens in a tenant: its usage, its audit trail and its face sessions."""

from typing import Annotated

from fastapi import APIRouter, Query

from likeness.access.requires import TenantsComponent
from likeness.administration.composition import AdministrationComponent, Administrator
from likeness.administration.schemas import AuditPage, AuditReply, SessionList, UsageList, UsageReply
from likeness.gallery.endpoints import CursorsComponent
from likeness.sessions.endpoints import SessionsComponent
from likeness.usage.counting import KEPT_HOURS
from likeness.web.http import error_responses
from likeness.web.pagination import CURSOR_PATTERN
from likeness.web.route import DirectRoute

router = APIRouter(prefix="/api/v1/admin", tags=["administration"], route_class=DirectRoute)
LISTING = error_responses(400, 401, 403, 429, 503)


@router.get("/usage", operation_id="getUsage", summary="Count calls and sessions by the hour", responses=LISTING)
async def get_usage(
    principal: Administrator,
    tenants: TenantsComponent,
    administration: AdministrationComponent,
    hours: Annotated[int, Query(ge=1, le=KEPT_HOURS, description="How far back, the present hour included.")] = 24,
) -> UsageList:
    """Count calls, refusals, match levels, searches and face sessions. Counts are kept for 90 days.

    Other servers' counts of the last seconds may be missing.
    """
    tenant = await tenants.get(principal.tenant_id)
    counts = await administration.usage.of_tenant(tenant.id, hours=hours)
    return UsageList(counts=[UsageReply.of(key, amount) for key, amount in counts])


@router.get("/audit", operation_id="listAuditRecords", summary="Read the audit trail", responses=LISTING)
async def list_audit_records(
    principal: Administrator,
    tenants: TenantsComponent,
    administration: AdministrationComponent,
    cursors: CursorsComponent,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="`next` of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """Read who did what to which id in the tenant, the newest first. A record appears within a second or two."""
    tenant = await tenants.get(principal.tenant_id)
    audience = f"audit {tenant.id}"
    position = cursors.read(cursor, audience) if cursor else None
    page = await administration.trail.page(tenant.id, position=position, limit=limit)
    following = None if page.next is None else cursors.write(page.next, audience)
    return AuditPage(records=[AuditReply.of(record) for record in page.records], next=following)


@router.get("/sessions", operation_id="listSessions", summary="List face sessions", responses=LISTING)
async def list_sessions(
    principal: Administrator,
    tenants: TenantsComponent,
    sessions: SessionsComponent,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> SessionList:
    """List the face sessions that are not deleted yet, the newest first."""
    return SessionList.of(await sessions.newest(await tenants.get(principal.tenant_id), most=limit))
