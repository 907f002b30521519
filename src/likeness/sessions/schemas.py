"""What ``POST /api/v1/face`` takes and gives (contract §3)."""

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

from likeness.web.wire import EXAMPLE_ID, EXAMPLE_PHOTO, Level, Photo, Time, Uuid, WireModel, example

LONGEST_URL = 2048


def _check_stored_length(url: AnyHttpUrl) -> AnyHttpUrl:
    # Percent-encoding and punycode make an address longer than what was sent, up to six times.
    if len(str(url)) > LONGEST_URL:
        raise ValueError(f"must have at most {LONGEST_URL} characters once it is percent-encoded")
    return url


class SessionOptions(WireModel):
    """How a session is to be carried out; kept with the session."""

    nonce: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="Comes back in the signed result."
    )
    max_attempts: Annotated[int, Field(ge=1, le=3)] = 3
    minimum_match_level: Level = 3
    active_liveness: bool | None = Field(
        None, description="Whether the person is given a challenge; false judges passively only. See `livenessMode`."
    )
    liveness_mode: Literal["passive", "active", "strict"] | None = Field(
        None,
        description="How much is asked of the person; by default what `activeLiveness` says, else what the tenant has "
        "set.",
    )
    one_to_n: Literal["none", "search", "insert"] = "none"
    audit_trail_image_obfuscation: Literal["FILLED", "FILLED_WHITE", "BLURRED"] | None = Field(
        None, description="Hide the audit image's background."
    )
    return_data_for_incomplete_session: bool | None = Field(
        None,
        description="Whether the browser is given the signed result of an ending without success, and an audit image "
        "of it is kept; by default as the browser asks.",
    )
    redirect_url: (
        Annotated[AnyHttpUrl, UrlConstraints(max_length=LONGEST_URL), AfterValidator(_check_stored_length)] | None
    ) = Field(None, description="Where the capture page goes when it has ended.")

    @classmethod
    def stored(cls, members: Mapping[str, Any]) -> "SessionOptions":
        """Read the options that a session was opened with.

        A member that does not read has its default: every session must end.
        """
        try:
            return cls.model_validate(members)
        except ValidationError as error:
            unread = {fault["loc"][0] for fault in error.errors(include_input=False) if fault["loc"]}
            return cls.model_validate({name: value for name, value in members.items() if name not in unread})


class SessionRequest(SessionOptions):
    """A face session to open, with the ID photo that the person is compared with."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, nonce="a1b2c3", minimumMatchLevel=3, oneToN="search")

    id_photo: Photo


class SessionReply(WireModel):
    """The opened session, the page to send the person to, and until when it can be used."""

    model_config = example(
        sessionId=EXAMPLE_ID,
        captureUrl="https://face.example.com/capture/5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2#token=eyJ...",
        expiresAt="2026-11-22T21:10:00+00:00",
    )

    session_id: Uuid
    capture_url: Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
    expires_at: Time
