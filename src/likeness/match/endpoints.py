"""``POST /api/v1/face/match``."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from likeness.access.requires import Requires, TenantsComponent, TrailComponent, demand
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.audit.actions import HIT, Action
from likeness.match.schemas import FaceReport, MatchReply, MatchRequest, PortraitReply, PortraitRequest
from likeness.match.service import Comparison, Matcher
from likeness.tenants.service import Tenant
from likeness.usage.counting import UsageKind
from likeness.web.components import Component
from likeness.web.http import PHOTO_ERRORS, body_schema, error_responses, read_fields
from likeness.web.route import DirectRoute

router = APIRouter(tags=["match"], route_class=DirectRoute)


@dataclass(frozen=True, kw_only=True)
class MatchComponents:
    """What these endpoints ask the application for."""

    matcher: Matcher


MatcherComponent = Annotated[Matcher, Depends(Component(MatchComponents, lambda components: components.matcher))]
MatchCaller = Annotated[Principal, Depends(Requires(Scope.FACE_MATCH))]


@router.post(
    "/api/v1/face/match",
    operation_id="faceMatch",
    summary="Compare a photo with another one, or with an enrolled person (1:1)",
    responses=PHOTO_ERRORS | error_responses(404),
    openapi_extra=body_schema(MatchRequest),
)
async def match_faces(
    request: Request,
    principal: MatchCaller,
    tenants: TenantsComponent,
    matcher: MatcherComponent,
    trail: TrailComponent,
) -> MatchReply:
    """Say whether two photos show one person, or whether a photo shows an enrolled person.

    `matchLevel` is the highest of five levels that the comparison reaches, or 0. Each level has a measured false match
    rate, from 1e-2 at level 1 to 1e-6 at level 5. `match` is `matchLevel >= minimumMatchLevel`. `source` says what
    `sourceImage` is. Send `targetImage` or `targetId`, not both. With `targetId` the call also needs
    `KYC_FACE_SEARCH`.
    """
    wanted = await read_fields(request, MatchRequest, photos=2)
    if wanted.target_id is not None:
        demand(principal, Scope.FACE_SEARCH, trail=trail)
    comparison = await _compare(matcher, await tenants.get(principal.tenant_id), wanted)
    request.state.outcome = (UsageKind.LEVEL, str(comparison.level))
    match = comparison.level >= wanted.minimum_match_level
    if match and wanted.target_id is not None:
        trail.record(Action.MATCH, wanted.target_id, outcome=HIT)
    source, *target = map(FaceReport.of, comparison.faces)
    return MatchReply(
        match=match,
        match_level=comparison.level,
        score=round(comparison.score, 4),
        false_match_rate=comparison.false_match_rate,
        model=comparison.model,
        source=source,
        target=target[0] if target else None,
    )


async def _compare(matcher: Matcher, tenant: Tenant, wanted: MatchRequest) -> Comparison:
    photo, source = wanted.source_image, wanted.source
    if wanted.target_id is not None:
        return await matcher.compare_enrolled(tenant, photo, wanted.target_id, source_is=source)
    assert wanted.target_image is not None
    return await matcher.compare(tenant, photo, wanted.target_image, source_is=source)


@router.post(
    "/api/v1/face/portrait",
    operation_id="facePortrait",
    summary="Cut the portrait of a document",
    responses=PHOTO_ERRORS,
    openapi_extra=body_schema(PortraitRequest),
)
async def cut_document_portrait(
    request: Request, principal: MatchCaller, tenants: TenantsComponent, matcher: MatcherComponent
) -> PortraitReply:
    """Cut the upright portrait of a document's photo, and measure its quality.

    The photo may be turned, and may show the portrait a second time, smaller. Low quality is no error here: `reasons`
    names the measures for which the other calls would refuse the photo.
    """
    wanted = await read_fields(request, PortraitRequest, photos=1)
    tenant = await tenants.get(principal.tenant_id)
    return PortraitReply.of(await matcher.take_portrait(tenant, wanted.id_photo, source=wanted.source))
