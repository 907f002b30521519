"""``POST /api/v1/face``."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from likeness.access.requires import Requires, TenantsComponent, TrailComponent, demand
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.results.service import Results
from likeness.sessions.capture.hub import CaptureHub
from likeness.sessions.schemas import SessionReply, SessionRequest
from likeness.sessions.service import SessionService
from likeness.usage.counting import UsageKind
from likeness.web.components import Component
from likeness.web.http import PHOTO_ERRORS, body_schema, read_fields

router = APIRouter(tags=["face session"])


@dataclass(frozen=True, kw_only=True)
class SessionComponents:
    """The components that the endpoints of this package need."""

    sessions: SessionService
    results: Results
    captures: CaptureHub


SessionsComponent = Annotated[
    SessionService, Depends(Component(SessionComponents, lambda components: components.sessions))
]
ResultsComponent = Annotated[Results, Depends(Component(SessionComponents, lambda components: components.results))]


@router.post(
    "/api/v1/face",
    status_code=201,
    operation_id="initSession",
    summary="Open a face session",
    responses=PHOTO_ERRORS,
    openapi_extra=body_schema(SessionRequest),
)
async def open_session(
    request: Request,
    principal: Annotated[Principal, Depends(Requires(Scope.FACE_FLOW))],
    tenants: TenantsComponent,
    sessions: SessionsComponent,
    trail: TrailComponent,
) -> SessionReply:
    """Open a session for the person on an ID photo.

    Send the person to `captureUrl`. The session expires after 10 minutes. A photo without a usable face is refused
    here. The call needs `KYC_FACE_FLOW`. With `oneToN` it also needs `KYC_FACE_SEARCH` or `KYC_FACE_INSERT`.
    """
    wanted = await read_fields(request, SessionRequest, photos=1)
    if wanted.one_to_n != "none":
        demand(principal, Scope.FACE_INSERT if wanted.one_to_n == "insert" else Scope.FACE_SEARCH, trail=trail)
    tenant = await tenants.get(principal.tenant_id)
    opened = await sessions.open(tenant, principal.client_id, wanted.id_photo, wanted)
    request.state.outcome = (UsageKind.SESSION, "opened")
    return SessionReply(
        session_id=opened.id,
        capture_url=opened.capture_url,
        expires_at=datetime.fromtimestamp(opened.expires_at, UTC).isoformat(timespec="seconds"),
    )
