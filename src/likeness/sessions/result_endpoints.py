"""``/api/v1/info``: a session's signed result, its audit image, and their early deletion."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response

from likeness.access.requires import Requires, TenantsComponent
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.errors import InvalidInput, NotFound
from likeness.kit.ids import is_object_id, is_uuid
from likeness.sessions.capture.hub import CaptureHub
from likeness.sessions.endpoints import ResultsComponent, SessionComponents, SessionsComponent
from likeness.web.components import Component
from likeness.web.http import error_responses

router = APIRouter(prefix="/api/v1/info", tags=["result"])

NO_STORE = {"Cache-Control": "no-store"}
JWS_REPLY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/jwt": {"schema": {"type": "string"}}}, "description": "JWS, compact form"}
}
IMAGE_REPLY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}, "description": "JPEG"}
}

NAMED = "The session's id, or the `jti` of its result."
SessionName = Annotated[str, Path(description=NAMED, json_schema_extra={"format": "uuid"})]
ResultCaller = Annotated[Principal, Depends(Requires(Scope.INFO_SDK, Scope.FACE_FLOW))]
ResultOwner = Annotated[Principal, Depends(Requires(Scope.INFO_SDK))]


@router.get(
    "",
    response_class=Response,
    operation_id="getResultByHeader",
    summary="Get a session's signed result, named in a header",
    responses=JWS_REPLY | error_responses(400, 401, 403, 404, 429, 503),
)
async def get_result_by_header(
    principal: ResultCaller,
    tenants: TenantsComponent,
    sessions: SessionsComponent,
    session_id: Annotated[str, Header(alias="UQ-Session-ID", description=NAMED, json_schema_extra={"format": "uuid"})],
) -> Response:
    """Give the result as `GET /api/v1/info/{sessionId}` does."""
    return await get_result(session_id, principal, tenants, sessions)


@router.get(
    "/{session_id}",
    response_class=Response,
    operation_id="getResult",
    summary="Get a session's signed result",
    responses=JWS_REPLY | error_responses(400, 401, 403, 404, 429, 503),
)
async def get_result(
    session_id: SessionName, principal: ResultCaller, tenants: TenantsComponent, sessions: SessionsComponent
) -> Response:
    """Give the session's signed result (JWS), for 10 minutes after its end. Every ending has a result."""
    jws = await sessions.result(await tenants.get(principal.tenant_id), _uuid(session_id))
    return Response(jws, media_type="application/jwt", headers=NO_STORE)


@router.delete(
    "/{session_id}",
    status_code=204,
    operation_id="purgeResult",
    summary="Purge a session's result and image",
    responses=error_responses(400, 401, 403, 429, 503),
)
async def purge_result(
    session_id: SessionName,
    principal: ResultOwner,
    tenants: TenantsComponent,
    sessions: SessionsComponent,
    captures: Annotated[CaptureHub, Depends(Component(SessionComponents, lambda components: components.captures))],
) -> None:
    """Delete all data of a session now. It is no error if there is none."""
    tenant = await tenants.get(principal.tenant_id)
    await captures.drop(tenant, await sessions.purge(tenant, _uuid(session_id)))


@router.get(
    "/img/{image_id}",
    response_class=Response,
    operation_id="getAuditImage",
    summary="Get an audit image",
    responses=IMAGE_REPLY | error_responses(401, 403, 404, 429, 503),
)
async def get_audit_image(
    image_id: Annotated[
        str, Path(description="The result's `auditTrailImageId`.", json_schema_extra={"pattern": "^[0-9a-f]{24}$"})
    ],
    principal: ResultOwner,
    tenants: TenantsComponent,
    results: ResultsComponent,
) -> Response:
    """Give the audit image, for 30 minutes after the session's end. The result has its SHA-256."""
    tenant = await tenants.get(principal.tenant_id)
    image = await results.find_image(tenant, image_id) if is_object_id(image_id) else None
    if image is None:
        raise NotFound("There is no such image, or its time is over.")
    return Response(image, media_type="image/jpeg", headers=NO_STORE)


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise InvalidInput("The session's id, or the jti of its result, must be a UUID.")
    return text.lower()
