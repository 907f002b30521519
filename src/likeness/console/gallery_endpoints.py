"""*Gallery*: the enrolled people, the search by a photo, and erasure."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from likeness.access.requires import TrailComponent
from likeness.audit.actions import HIT, Action
from likeness.console.rendering import PageRoute, page, see_other
from likeness.console.requires import AdministratorVisit, ReviewerVisit, Visitor
from likeness.errors import NotFound
from likeness.gallery.endpoints import CursorsComponent, Service, known_id
from likeness.gallery.entries.entry import Entry
from likeness.gallery.schemas import SearchRequest
from likeness.gallery.service import GalleryService
from likeness.usage.counting import UsageKind
from likeness.web.http import read_fields
from likeness.web.pagination import CURSOR_PATTERN

router = APIRouter(prefix="/console/gallery", include_in_schema=False, route_class=PageRoute)
PAGE_ENTRIES = 50
CANDIDATES = 10


@router.get("")
async def get_gallery(
    request: Request,
    visitor: ReviewerVisit,
    gallery: Service,
    cursors: CursorsComponent,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN)] = None,
    reference: Annotated[str, Query(max_length=256)] = "",
) -> HTMLResponse:
    """List entries in order of enrolment, or the one entry with a reference."""
    after = cursors.read(cursor, visitor.tenant.id) if cursor else 0
    entries = await gallery.list(
        visitor.tenant, after_key=after, limit=PAGE_ENTRIES + 1, external_id=reference.strip() or None
    )
    shown = entries[:PAGE_ENTRIES]
    following = cursors.write(shown[-1].key, visitor.tenant.id) if len(entries) > PAGE_ENTRIES else None
    count = await gallery.count(visitor.tenant)
    return page(
        request,
        "gallery.html",
        visitor=visitor,
        entries=shown,
        following=following,
        first=cursor is None,
        reference=reference.strip(),
        count=count,
    )


@router.post("/search")
async def search_by_photo(
    request: Request, visitor: ReviewerVisit, gallery: Service, trail: TrailComponent
) -> HTMLResponse:
    """Search for the person on a photo, and give the part of the page with the candidates."""
    wanted = await read_fields(request, SearchRequest, photos=1)
    outcome = await gallery.search(visitor.tenant, wanted.id_photo, candidates=CANDIDATES)
    request.state.outcome = (UsageKind.SEARCH, "found" if outcome.found else "not found")
    if outcome.found:
        trail.record(Action.SEARCH, outcome.entry_id, outcome=HIT)
    return page(request, "candidates.html", visitor=visitor, outcome=outcome)


@router.get("/{entry_id}")
async def get_one(entry_id: str, request: Request, visitor: ReviewerVisit, gallery: Service) -> HTMLResponse:
    """Show one entry."""
    return page(request, "entry.html", visitor=visitor, entry=await _found(gallery, visitor, entry_id))


@router.get("/{entry_id}/photo")
async def get_photo(entry_id: str, visitor: ReviewerVisit, gallery: Service, trail: TrailComponent) -> Response:
    """Give an entry's stored photo, with a record in the audit trail."""
    entry = await _found(gallery, visitor, entry_id)
    photo = await gallery.photo(visitor.tenant, entry)
    if photo is None:
        raise NotFound("The entry has no stored photo.")
    trail.record(Action.PHOTO_VIEW, entry.id)
    kind = "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"
    return Response(photo, media_type=kind, headers={"Cache-Control": "no-store"})


@router.post("/{entry_id}/delete-photo")
async def delete_photo(entry_id: str, visitor: AdministratorVisit, gallery: Service) -> RedirectResponse:
    """Delete an entry's photo."""
    entry = await _found(gallery, visitor, entry_id)
    await gallery.delete_image(visitor.tenant, entry.id)
    return see_other(f"/console/gallery/{entry.id}")


@router.post("/{entry_id}/erase")
async def erase(entry_id: str, visitor: AdministratorVisit, gallery: Service) -> RedirectResponse:
    """Erase an entry."""
    entry = await _found(gallery, visitor, entry_id)
    await gallery.erase(visitor.tenant, entry.id)
    return see_other("/console/gallery")


async def _found(gallery: GalleryService, visitor: Visitor, entry_id: str) -> Entry:
    return await gallery.get(visitor.tenant, known_id(entry_id))
