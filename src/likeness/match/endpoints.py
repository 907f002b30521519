"""``POST /api/v1/face/match``."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from likeness.access.requires import Requires, TenantsComponent
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.match.schemas import FaceReport, MatchReply, MatchRequest
from likeness.match.service import Matcher
from likeness.usage.counting import UsageKind
from likeness.web.components import Component
from likeness.web.http import PHOTO_ERRORS, body_schema, read_fields
from likeness.web.route import DirectRoute

router = APIRouter(tags=["match"], route_class=DirectRoute)


@dataclass(frozen=True, kw_only=True)
class MatchComponents:
    """What these endpoints ask the application for."""

    matcher: Matcher


@router.post(
    "/api/v1/face/match",
    operation_id="faceMatch",
    summary="Compare two photos (1:1)",
    responses=PHOTO_ERRORS,
    openapi_extra=body_schema(MatchRequest),
)
async def match_faces(
    request: Request,
    principal: Annotated[Principal, Depends(Requires(Scope.FACE_MATCH))],
    tenants: TenantsComponent,
    matcher: Annotated[Matcher, Depends(Component(MatchComponents, lambda components: components.matcher))],
) -> MatchReply:
    """Say whether two photos show one person.

    `matchLevel` is the highest of five levels that the comparison reaches, or 0. Each level has a measured false match
    rate, from 1e-2 at level 1 to 1e-6 at level 5. `match` is `matchLevel >= minimumMatchLevel`.
    """
    photos = await read_fields(request, MatchRequest, photos=2)
    tenant = await tenants.get(principal.tenant_id)
    comparison = await matcher.compare(tenant, photos.source_image, photos.target_image)
    request.state.outcome = (UsageKind.LEVEL, str(comparison.level))
    return MatchReply(
        match=comparison.level >= photos.minimum_match_level,
        match_level=comparison.level,
        score=round(comparison.score, 4),
        false_match_rate=comparison.false_match_rate,
        model=matcher.model,
        source=FaceReport.of(comparison.source),
        target=FaceReport.of(comparison.target),
    )
