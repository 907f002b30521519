"""A tenant's own settings."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from likeness.engine.policy import FacePolicy
from likeness.web.wire import UNPRINTABLE

HOST = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$"
Host = Annotated[str, StringConstraints(to_lower=True, max_length=253, pattern=HOST)]
"""The host of an address: a name as DNS has it, or an internet address (IPv6 in brackets)."""


MOST_ENTRY_DAYS = 36_500
ShownText = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=rf"^[^{UNPRINTABLE}]+$")]
"""A line of text that people read."""
ShownLink = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https://[^\s/?#@\\]+([/?#][^\s\\]*)?$")]
"""An address that people open: https, without a user's name."""


class TenantSettings(BaseModel):
    """The settings that each tenant chooses. An unset member has the default."""

    model_config = ConfigDict(frozen=True)

    face_policy: Literal[FacePolicy.LARGEST, FacePolicy.SINGLE] = Field(
        FacePolicy.LARGEST, description="What to do with several faces in a photo."
    )
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
    liveness_in_browser: bool = Field(
        default=False,
        description="Whether the browser's copy of a session's result has the liveness signals and their scores.",
    )
    liveness_review_margin: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="Mark a failed liveness check as uncertain if each signal failed by at most this fraction of its "
        "threshold. Its result then has the comparison and the audit image, for a review by a person.",
    )
    redirect_hosts: Annotated[tuple[Host, ...], Field(max_length=100)] | None = Field(
        None, description="Hosts that the redirectUrl of a face session may have. By default any."
    )
    privacy_name: ShownText | None = Field(
        None, description="Who asks people for their faces. The capture page says so before it opens the camera."
    )
    privacy_purpose: ShownText | None = Field(None, description="What for, as the capture page says it.")
    privacy_purpose_ar: ShownText | None = Field(None, description="The same in Arabic, for the page in Arabic.")
    privacy_url: ShownLink | None = Field(
        None, description="Address (https) of your privacy notice, to which the capture page links."
    )
    entry_days: int | None = Field(
        None,
        ge=1,
        le=MOST_ENTRY_DAYS,
        description="Days that a new entry of the gallery is kept at most. Then it is erased. Entries that exist keep "
        "the time that they have.",
    )
    gallery_limit: int = Field(10_000_000, ge=1, description="Largest number of entries that the gallery may have.")
