"""A tenant's own settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from likeness.engine.policy import FacePolicy


class TenantSettings(BaseModel):
    """What a tenant decides for itself; an unset member has the default."""

    model_config = ConfigDict(frozen=True)

    face_policy: FacePolicy = Field(FacePolicy.LARGEST, description="What to do with several faces in a photo.")
    search_level: int = Field(4, ge=1, le=5, description="Level at which a 1:N search says that a person was found.")
    target_fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Chance that a 1:N search finds a stranger; the threshold follows the gallery's size. Replaces "
        "search_level.",
    )
    liveness_mode: Literal["passive", "active", "strict"] = Field(
        "active", description="How much a face session asks of the person, unless the session says otherwise."
    )
    gallery_limit: int = Field(10_000_000, ge=1, description="Most entries the gallery may hold.")
