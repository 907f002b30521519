"""Health and readiness of the server."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.web.components import Component

router = APIRouter(tags=["health"])


@dataclass(frozen=True, kw_only=True)
class HealthComponents:
    """What these endpoints ask the application for."""

    galleries: LoadedGalleries


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the server takes traffic, and how many entries it has loaded."""

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
    galleries: Annotated[
        LoadedGalleries, Depends(Component(HealthComponents, lambda components: components.galleries))
    ],
) -> JSONResponse:
    """Tell whether the server answers calls.

    It does if the galleries are in memory, the server owns the database, and the database's file is in place.
    """
    progress, status = galleries.progress, galleries.status
    body = {
        "status": status,
        "loaded": progress.loaded,
        "total": progress.total,
        "unreadable": galleries.unreadable,
    }
    return JSONResponse(body, 200 if status == "ready" else 503)
