"""*Try it*: two photos side by side, and what the comparison says."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from likeness.console.composition import ConsoleComponent
from likeness.console.rendering import PageRoute, page
from likeness.console.requires import ViewerVisit
from likeness.engine.base import Face
from likeness.engine.levels import TARGET_FMR
from likeness.match.endpoints import MatcherComponent
from likeness.match.schemas import TwoPhotosRequest
from likeness.usage.counting import UsageKind
from likeness.web.http import read_fields

router = APIRouter(prefix="/console/try", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def get_try(request: Request, visitor: ViewerVisit, console: ConsoleComponent) -> HTMLResponse:
    """Give the page that takes two photos."""
    return page(request, "try.html", visitor=visitor, origin=console.origin)


@router.post("/match")
async def try_match(
    request: Request, visitor: ViewerVisit, matcher: MatcherComponent, console: ConsoleComponent
) -> HTMLResponse:
    """Compare two photos as the API does, and give the part of the page that shows the outcome."""
    photos = await read_fields(request, TwoPhotosRequest, photos=2)
    comparison = await matcher.compare(visitor.tenant, photos.source_image, photos.target_image)
    request.state.outcome = (UsageKind.LEVEL, str(comparison.level))
    return page(
        request,
        "try-result.html",
        visitor=visitor,
        comparison=comparison,
        minimum=photos.minimum_match_level,
        faces=[_shown(face) for face in comparison.faces],
        calibration=matcher.calibration,
        rates=TARGET_FMR,
        model=comparison.model,
        origin=console.origin,
    )


def _shown(face: Face) -> dict[str, object]:
    """Give what the browser draws of a face: its place in the photo, and its quality, the lowest measure first."""
    box = face.detection.box
    places = (box.x, box.y, box.width, box.height, *face.detection.landmarks.ravel().tolist(), *face.image_size)
    return {
        "places": " ".join(f"{place:.1f}" for place in places),
        "score": face.quality.score,
        "measures": sorted(face.quality.measures, key=lambda measure: measure.scalar),
    }
