"""The request and the answer of ``POST /api/v1/face`` (contract §3)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    Field,
    StringConstraints,
    UrlConstraints,
    ValidationError,
    WithJsonSchema,
)

from likeness.engine.source import SourceMember
from likeness.gallery.schemas import ConsentMember, PurposeMember
from likeness.settings import MOST_ATTEMPTS
from likeness.web.addresses import is_own_machine
from likeness.web.wire import EXAMPLE_ID, EXAMPLE_PHOTO, Level, Photo, Time, Uuid, WireModel, example

LONGEST_URL = 2048


def _check_address(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:
        raise ValueError("must have no user name and no password")
    if url.scheme != "https" and not is_own_machine(url.host or ""):
        raise ValueError("must begin with https://, except for localhost")
    # Percent-encoding and punycode make an address up to six times longer.
    if len(str(url)) > LONGEST_URL:
        raise ValueError(f"must have at most {LONGEST_URL} characters once it is percent-encoded")
    return url


class SessionOptions(WireModel):
    """The options of a session, which are stored with it."""

    nonce: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="The signed result repeats it."
    )
    consent_reference: ConsentMember = None
    purpose: PurposeMember = None
    source: SourceMember = None
    max_attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = MOST_ATTEMPTS
    minimum_match_level: Level = 3
    active_liveness: bool | None = Field(
        None, description="Whether the person gets a challenge. With false, the check is passive. See `livenessMode`."
    )
    liveness_mode: Literal["passive", "active", "strict"] | None = Field(
        None,
        description="What the person must do. By default `activeLiveness` decides, else the tenant's setting.",
    )
    one_to_n: Literal["none", "search", "insert"] = "none"
    audit_trail_image_obfuscation: Literal["FILLED", "FILLED_WHITE", "BLURRED"] | None = Field(
        None, description="Hide the audit image's background."
    )
    return_data_for_incomplete_session: bool | None = Field(
        None,
        description="Whether the browser gets the signed result of an ending without success, and the server keeps an "
        "audit image of it. By default the browser decides.",
    )
    redirect_url: (
        Annotated[AnyHttpUrl, UrlConstraints(max_length=LONGEST_URL), AfterValidator(_check_address)] | None
    ) = Field(
        None,
        description="The address that the capture page opens at its end: https, and a host that the tenant allows.",
    )

    @classmethod
    def stored(cls, members: Mapping[str, Any]) -> "SessionOptions":
        """Read the stored options of a session.

        An unreadable member gets its default, because every session must end.
        """
        try:
            return cls.model_validate(members)
        except ValidationError as error:
            unread = {fault["loc"][0] for fault in error.errors(include_input=False) if fault["loc"]}
            return cls.model_validate({name: value for name, value in members.items() if name not in unread})


class SessionRequest(SessionOptions):
    """A face session to open, with the ID photo for the comparison."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, nonce="a1b2c3", minimumMatchLevel=3, oneToN="search")

    id_photo: Photo


class SessionReply(WireModel):
    """The opened session, the page for the person, and the time when the session expires."""

    model_config = example(
        sessionId=EXAMPLE_ID,
        captureUrl="https://face.example.com/capture/5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2#token=eyJ...",
        expiresAt="2026-11-22T21:10:00+00:00",
    )

    session_id: Uuid
    capture_url: Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
    expires_at: Time
