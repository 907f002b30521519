"""A tenant's own settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from likeness.engine.policy import FacePolicy


class TenantSettings(BaseModel):
    """The settings that each tenant chooses. An unset member has the default."""

    model_config = ConfigDict(frozen=True)

    face_policy: FacePolicy = Field(FacePolicy.LARGEST, description="What to do with several faces in a photo.")
    search_level: int = Field(4, ge=1, le=5, description="Level from which a 1:N search reports a person as found.")
    target_fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Chance that a 1:N search finds a person who is not enrolled. The threshold follows the gallery's "
        "size. Replaces search_level.",
    )
    liveness_mode: Literal["passive", "active", "strict"] = Field(
        "active", description="How much a face session asks of the person, unless the session says otherwise."
    )
    gallery_limit: int = Field(10_000_000, ge=1, description="Largest number of entries that the gallery may have.")
