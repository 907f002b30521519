"""*Usage*, *Audit* and *Models*."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from likeness.administration.composition import AdministrationComponent
from likeness.console.composition import ConsoleComponent
from likeness.console.rendering import PageRoute, page
from likeness.console.requires import AdministratorVisit, ViewerVisit
from likeness.engine.levels import LEVELS, NEVER, TARGET_FMR
from likeness.gallery.endpoints import CursorsComponent
from likeness.match.endpoints import MatcherComponent
from likeness.usage.counting import HOUR_SECONDS, UsageKind
from likeness.usage.repository import Amount, UsageKey
from likeness.web.pagination import CURSOR_PATTERN

router = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)
SPANS = {"day": (24, 1), "week": (7 * 24, 6), "quarter": (90 * 24, 24 * 3)}
"""The hours of each choice, and the hours that one bar has."""
AUDIT_RECORDS = 100


@router.get("/usage")
async def show_usage(
    request: Request,
    visitor: ViewerVisit,
    administration: AdministrationComponent,
    console: ConsoleComponent,
    span: Annotated[str, Query(pattern="^(day|week|quarter)$")] = "day",
) -> HTMLResponse:
    """Show what calls and sessions came to."""
    hours, step = SPANS[span]
    counts = await administration.usage.of_tenant(visitor.tenant.id, hours=hours)
    first = int(console.clock.now() // HOUR_SECONDS) - hours + 1
    calls, seconds = _series(counts, first, hours, step)
    names = [_name((first + start) * HOUR_SECONDS, span) for start in range(0, hours, step)]
    waits = [1000 * taken / called if called else 0.0 for called, taken in zip(calls, seconds, strict=True)]
    return page(
        request,
        "usage.html",
        visitor=visitor,
        span=span,
        spans=list(SPANS),
        calls=list(zip(names, calls, strict=True)),
        waits=list(zip(names, waits, strict=True)),
        kinds=_sums(counts),
    )


@router.get("/audit")
async def show_audit(
    request: Request,
    visitor: AdministratorVisit,
    administration: AdministrationComponent,
    cursors: CursorsComponent,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN)] = None,
) -> HTMLResponse:
    """Show who did what to which id, the newest first."""
    audience = f"audit {visitor.tenant.id}"
    position = cursors.read(cursor, audience) if cursor else None
    found = await administration.trail.page(visitor.tenant.id, position=position, limit=AUDIT_RECORDS)
    following = None if found.next is None else cursors.write(found.next, audience)
    return page(
        request, "audit.html", visitor=visitor, records=found.records, following=following, first=cursor is None
    )


@router.get("/models")
async def show_models(request: Request, visitor: ViewerVisit, matcher: MatcherComponent) -> HTMLResponse:
    """Show the model pack that answers, and what its levels were measured to promise."""
    calibration = matcher.calibration
    levels = list(zip(LEVELS, TARGET_FMR, calibration.thresholds, calibration.measured_fmr, strict=True))
    return page(
        request,
        "models.html",
        visitor=visitor,
        model=matcher.model,
        calibration=calibration,
        levels=levels,
        never=NEVER,
    )


def _series(counts: list[tuple[UsageKey, Amount]], first: int, hours: int, step: int) -> tuple[list[int], list[float]]:
    """Give the calls and their seconds, in steps of some hours."""
    calls, seconds = [0] * (hours // step), [0.0] * (hours // step)
    for key, amount in counts:
        if key.kind == UsageKind.CALL and first <= key.hour < first + hours:
            calls[(key.hour - first) // step] += amount.count
            seconds[(key.hour - first) // step] += amount.seconds
    return calls, seconds


def _sums(counts: list[tuple[UsageKey, Amount]]) -> dict[str, list[tuple[str, int]]]:
    """Give the names of each kind with their counts, the largest first."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, amount in counts:
        found[key.kind][key.name] += amount.count
    return {kind.value: found[kind].most_common() for kind in UsageKind}


def _name(seconds: float, span: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(
        "%H:%M" if span == "day" else "%d %b %H:%M" if span == "week" else "%d %b"
    )
