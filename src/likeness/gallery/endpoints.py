"""The one-to-n calls."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from likeness.access.requires import Requires, TenantsComponent, TrailComponent, demand
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.audit.actions import HIT, Action
from likeness.errors import NotFound
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.entries.entry import Entry
from likeness.gallery.schemas import (
    Candidate,
    EntryPage,
    EntryReply,
    InsertReply,
    InsertRequest,
    Reference,
    SearchDecision,
    SearchReply,
    SearchRequest,
)
from likeness.gallery.service import GalleryService
from likeness.kit.clock import timestamp
from likeness.kit.ids import is_uuid
from likeness.usage.counting import UsageKind
from likeness.web.components import Component
from likeness.web.http import PHOTO_ERRORS, body_schema, error_responses, read_fields
from likeness.web.pagination import CURSOR_PATTERN, Cursors
from likeness.web.route import DirectRoute

router = APIRouter(prefix="/api/v1/face/one-to-n", tags=["one to n"], route_class=DirectRoute)


@dataclass(frozen=True, kw_only=True)
class GalleryComponents:
    """The application's components that these endpoints need."""

    gallery: GalleryService
    cursors: Cursors


Service = Annotated[GalleryService, Depends(Component(GalleryComponents, lambda components: components.gallery))]
CursorsComponent = Annotated[Cursors, Depends(Component(GalleryComponents, lambda components: components.cursors))]
EntryId = Annotated[str, Path(description="The oneToNVerificationId.", json_schema_extra={"format": "uuid"})]
SearchCaller = Annotated[Principal, Depends(Requires(Scope.FACE_SEARCH, Scope.FACE_INSERT))]
InsertCaller = Annotated[Principal, Depends(Requires(Scope.FACE_INSERT))]
ReadCaller = Annotated[Principal, Depends(Requires(Scope.FACE_SEARCH))]
DeleteCaller = Annotated[Principal, Depends(Requires(Scope.FACE_DELETE))]


@router.post(
    "/search",
    operation_id="faceSearch",
    summary="Search the gallery for a person (1:N)",
    responses=PHOTO_ERRORS,
    openapi_extra=body_schema(SearchRequest),
    response_model_exclude_none=False,
)
async def search_gallery(
    request: Request, principal: SearchCaller, tenants: TenantsComponent, gallery: Service, trail: TrailComponent
) -> SearchReply:
    """Find the enrolled person on the photo. With `insert: true`, enrol a person who is not found.

    Needs `KYC_FACE_SEARCH`, or `KYC_FACE_INSERT` with `insert: true`. It is no error when the person is not found. Then
    the id is null and the match false.
    """
    wanted = await read_fields(request, SearchRequest, photos=1)
    demand(principal, Scope.FACE_INSERT if wanted.insert else Scope.FACE_SEARCH, trail=trail)
    tenant = await tenants.get(principal.tenant_id)
    enrolment = EnrolmentRequest(
        consent_reference=wanted.consent_reference, purpose=wanted.purpose, expires_at=wanted.expires_at
    )
    outcome = await gallery.search(
        tenant,
        wanted.id_photo,
        enrolment=enrolment if wanted.insert else None,
        candidates=wanted.candidates,
        level=wanted.minimum_match_level,
        source=wanted.source,
    )
    request.state.outcome = (UsageKind.SEARCH, "found" if outcome.found else "not found")
    if outcome.found:
        trail.record(Action.SEARCH, outcome.entry_id, outcome=HIT)
    decision = outcome.decision
    ranked = [
        Candidate(
            one_to_n_verification_id=candidate.entry.id,
            external_id=candidate.entry.external_id,
            score=round(candidate.score, 4),
            match_level=candidate.level,
        )
        for candidate in outcome.candidates
    ]
    return SearchReply(
        one_to_n_verification_id=outcome.entry_id,
        one_to_n_verification_match=outcome.found,
        match_level=outcome.level,
        score=None if outcome.score is None else round(outcome.score, 4),
        false_match_rate=outcome.false_match_rate,
        model=outcome.model,
        decision_level=decision.level,
        decision=SearchDecision(
            rule=decision.rule,
            threshold=round(decision.threshold, 4),
            false_match_rate=decision.false_match_rate,
            expected_fpir=decision.expected_fpir,
            extrapolated=decision.extrapolated,
            measured_on=decision.measured_on,
        ),
        gallery_size=outcome.gallery_size,
        certified=outcome.certified,
        candidates=ranked if wanted.candidates else None,
    )


@router.post(
    "/insert",
    operation_id="faceSearchInsert",
    summary="Enrol a person",
    responses=PHOTO_ERRORS | error_responses(409),
    openapi_extra=body_schema(InsertRequest),
)
async def insert_entry(
    request: Request,
    principal: InsertCaller,
    tenants: TenantsComponent,
    gallery: Service,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="A repeated call with the same key enrols only once. The key is kept for a day.",
        ),
    ] = None,
) -> InsertReply:
    """Enrol the person on the photo. The id is always new, also for a person who is enrolled already."""
    wanted = await read_fields(request, InsertRequest, photos=1)
    enrolment = EnrolmentRequest(
        wanted.external_id,
        wanted.metadata,
        idempotency_key,
        consent_reference=wanted.consent_reference,
        purpose=wanted.purpose,
        expires_at=wanted.expires_at,
    )
    tenant = await tenants.get(principal.tenant_id)
    entry_id = await gallery.insert(tenant, wanted.id_photo, enrolment, source=wanted.source)
    return InsertReply(one_to_n_verification_id=entry_id)


@router.delete(
    "/search/{entry_id}",
    status_code=204,
    operation_id="deleteEntryImage",
    summary="Delete an entry's photo",
    responses=error_responses(401, 403, 404, 409, 429, 503),
)
async def delete_entry_image(
    entry_id: EntryId, principal: DeleteCaller, tenants: TenantsComponent, gallery: Service
) -> None:
    """Delete the stored photo. The person stays searchable under the same id."""
    await gallery.delete_image(await tenants.get(principal.tenant_id), known_id(entry_id))


@router.delete(
    "/{entry_id}",
    status_code=204,
    operation_id="eraseEntry",
    summary="Erase an entry",
    responses=error_responses(401, 403, 404, 409, 429, 503),
)
async def erase_entry(entry_id: EntryId, principal: DeleteCaller, tenants: TenantsComponent, gallery: Service) -> None:
    """Erase the entry, its photo and its templates. No search finds it any more."""
    await gallery.erase(await tenants.get(principal.tenant_id), known_id(entry_id))


@router.get(
    "/{entry_id}",
    operation_id="getEntry",
    summary="Read an entry's metadata",
    responses=error_responses(401, 403, 404, 429, 503),
)
async def get_entry(
    entry_id: EntryId, principal: ReadCaller, tenants: TenantsComponent, gallery: Service
) -> EntryReply:
    """Read the metadata of one entry. The answer has no photo and no template."""
    return entry_reply(await gallery.get(await tenants.get(principal.tenant_id), known_id(entry_id)))


@router.get("", operation_id="listEntries", summary="List entries", responses=error_responses(400, 401, 403, 429, 503))
async def list_entries(
    principal: ReadCaller,
    tenants: TenantsComponent,
    gallery: Service,
    cursors: CursorsComponent,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="`next` of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    external_id: Annotated[
        Reference | None, Query(alias="externalId", description="List only the entry with this reference.")
    ] = None,
) -> EntryPage:
    """List the gallery page by page, in order of enrolment. With `externalId`, list only the entry that has it."""
    after_key = cursors.read(cursor, principal.tenant_id) if cursor else 0
    tenant = await tenants.get(principal.tenant_id)
    entries = await gallery.list(tenant, after_key=after_key, limit=limit, external_id=external_id)
    last = len(entries) < limit
    following = None if last else cursors.write(entries[-1].key, principal.tenant_id)
    return EntryPage(entries=[entry_reply(entry) for entry in entries], next=following)


def known_id(entry_id: str) -> str:
    """Give the id as it is stored. Raises NotFound for a text that is no id."""
    if not is_uuid(entry_id):
        raise NotFound("There is no such entry.")
    return entry_id.lower()


def entry_reply(entry: Entry) -> EntryReply:
    """Give the metadata of an entry as the API has it."""
    return EntryReply(
        one_to_n_verification_id=entry.id,
        external_id=entry.external_id,
        metadata=entry.metadata,
        quality=entry.quality,
        image_stored=entry.image_id is not None,
        created_at=timestamp(entry.created_at),
        consent_reference=entry.consent_reference,
        purpose=entry.purpose,
        expires_at=None if entry.expires_at is None else timestamp(entry.expires_at),
        legal_hold=entry.legal_hold,
    )
