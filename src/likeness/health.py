"""Health and readiness of the server."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from likeness.gallery.views import HasCondition
from likeness.web.components import Component

router = APIRouter(tags=["health"])


@dataclass(frozen=True, kw_only=True)
class HealthComponents:
    """What these endpoints ask the application for."""

    held: HasCondition


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the server takes traffic, and how many entries, or parts of galleries in shards, are loaded."""

    status: Literal["ready", "loading", "failed", "detached", "suspended", "reloading"]
    loaded: int
    total: int
    unreadable: int = Field(
        description="Entries whose stored template is damaged; searches do without them. `likeness gallery verify` "
        "names them."
    )


@router.get("/healthz", operation_id="getHealth", summary="The process is up")
async def get_health() -> Health:
    """Answer as long as the process runs, without any work."""
    return Health(status="ok")


@router.get(
    "/readyz",
    response_model=Readiness,
    operation_id="getReadiness",
    summary="The server takes traffic",
    responses={
        503: {
            "model": Readiness,
            "description": "Not ready: `loading`, `failed`, `detached`, `suspended` or `reloading`",
        }
    },
)
async def get_readiness(
    galleries: Annotated[HasCondition, Depends(Component(HealthComponents, lambda components: components.held))],
) -> JSONResponse:
    """Tell whether the server answers calls.

    It does if the galleries are loaded, the server owns the database, and the database's file is in place.
    """
    now = galleries.condition
    body = {"status": now.status, "loaded": now.loaded, "total": now.total, "unreadable": now.unreadable}
    return JSONResponse(body, 200 if now.status == "ready" else 503)
