"""*Sessions*: the face sessions that are not deleted yet, and all that is known of one."""

import json

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from likeness.access.requires import TrailComponent
from likeness.administration.schemas import SessionSummary
from likeness.audit.actions import Action
from likeness.console.composition import ConsoleComponent
from likeness.console.rendering import PageRoute, page
from likeness.console.requires import ReviewerVisit, ViewerVisit
from likeness.errors import NotFound
from likeness.kit.ids import is_object_id, is_uuid
from likeness.kit.jose import claims_of
from likeness.sessions.endpoints import ResultsComponent, SessionsComponent

router = APIRouter(prefix="/console/sessions", include_in_schema=False, route_class=PageRoute)
SHOWN = 200


@router.get("")
async def get_sessions(request: Request, visitor: ViewerVisit, sessions: SessionsComponent) -> HTMLResponse:
    """List the newest sessions."""
    rows = await sessions.newest(visitor.tenant, most=SHOWN)
    shown = [(SessionSummary.of(row), row.created_at) for row in rows]
    return page(request, "sessions.html", visitor=visitor, sessions=shown, most=SHOWN)


@router.get("/{session_id}")
async def get_session(
    session_id: str,
    request: Request,
    visitor: ViewerVisit,
    sessions: SessionsComponent,
    results: ResultsComponent,
    console: ConsoleComponent,
) -> HTMLResponse:
    """Show one session: its steps, why it ended so, and its signed result."""
    row = await sessions.look(session_id.lower()) if is_uuid(session_id) else None
    if row is None or row.tenant_id != visitor.tenant.id:
        raise NotFound("There is no such session, or its data is deleted.")
    jws = await results.find(visitor.tenant, row.id)
    claims = None if jws is None else claims_of(jws)
    return page(
        request,
        "session.html",
        visitor=visitor,
        session=SessionSummary.of(row),
        row=row,
        jws=jws,
        claims=claims,
        is_verified=jws is not None and await console.is_genuine(jws, row.client_id),
        payload=json.dumps(claims, indent=2, ensure_ascii=False),
    )


@router.get("/images/{image_id}")
async def get_session_image(
    image_id: str, visitor: ReviewerVisit, results: ResultsComponent, trail: TrailComponent
) -> Response:
    """Give the audit image of a session, with a record in the audit trail."""
    image = await results.find_image(visitor.tenant, image_id) if is_object_id(image_id) else None
    if image is None:
        raise NotFound("There is no such image, or its time is over.")
    trail.record(Action.PHOTO_VIEW, image_id)
    return Response(image, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
