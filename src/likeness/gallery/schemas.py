"""The requests and replies of the one-to-n calls (contract §5)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from likeness.engine.source import SourceMember
from likeness.gallery.decision import Rule
from likeness.gallery.fpir.curve import MeasuredOn
from likeness.web.json_object import read_object
from likeness.web.pagination import CURSOR_PATTERN
from likeness.web.wire import (
    EXAMPLE_ID,
    EXAMPLE_PHOTO,
    UNPRINTABLE,
    GivenTime,
    Level,
    Photo,
    Time,
    Uuid,
    WireModel,
    example,
)

Reference = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=rf"^[^{UNPRINTABLE}]+$")]


def _read_labels(value: object) -> object:
    """Read a JSON object from text. A form and a table have only text."""
    if not isinstance(value, str):
        return value
    try:
        return read_object(value.encode())
    except ValueError as error:
        raise ValueError("is not a JSON object of texts") from error


def _describe_names(schema: dict[str, Any]) -> None:
    """Say that no member has another name: a pattern of members says nothing of the others."""
    (pattern,) = schema["patternProperties"]
    schema["propertyNames"]["pattern"] = pattern


Metadata = Annotated[
    dict[Reference, Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00]*$")]],
    Field(max_length=32, json_schema_extra=_describe_names),
    BeforeValidator(_read_labels),
]

ConsentMember = Annotated[
    Reference | None,
    Field(description="Your own reference to the person's consent, or another legal basis. A new entry keeps it."),
]
"""The member of a request that names what allows the use of the person's face."""
PurposeMember = Annotated[
    Reference | None, Field(description="What you use the person's face for. A new entry keeps it.")
]

ExpiryMember = Annotated[
    GivenTime | None,
    Field(description="When a new entry is to be erased, a time in the future. `entryDays` can make it earlier."),
]


class SearchRequest(WireModel):
    """A photo to search for among the enrolled persons."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, insert=False, candidates=0)

    id_photo: Photo
    source: SourceMember = None
    insert: bool = Field(default=False, description="Enrol the person if they are not found.")
    candidates: Annotated[int, Field(ge=0, le=50)] = Field(0, description="Length of the ranked list.")
    minimum_match_level: Level | None = Field(
        None, description="Level from which a person counts as found. Default: the tenant's (4)."
    )
    consent_reference: ConsentMember = None
    purpose: PurposeMember = None
    expires_at: ExpiryMember = None


class Candidate(WireModel):
    """An enrolled person, with the score of its comparison."""

    one_to_n_verification_id: Uuid
    external_id: str | None
    score: float
    match_level: int


class SearchDecision(WireModel):
    """The threshold of this search, and its expected error rates at the gallery's size."""

    rule: Rule = Field(description="The rule that gives the threshold: a level, or the tenant's target FPIR.")
    threshold: float = Field(description="Lowest score at which a person counts as found.")
    false_match_rate: float = Field(description="False match rate per comparison at the threshold.")
    expected_fpir: float = Field(description="Expected chance that the search finds a person who is not enrolled.")
    extrapolated: bool = Field(description="Whether the threshold is past the measured ones.")
    measured_on: MeasuredOn = Field(
        description="The comparisons that gave the rates: the pack's calibration, or your gallery itself."
    )


class SearchReply(WireModel):
    """Whether an enrolled person was found, the decision, and the requested candidates."""

    model_config = example(
        oneToNVerificationId=EXAMPLE_ID,
        oneToNVerificationMatch=True,
        matchLevel=5,
        score=0.9547,
        falseMatchRate=1e-06,
        model="builtin@3",
        decisionLevel=4,
        decision={
            "rule": "level",
            "threshold": 0.6123,
            "falseMatchRate": 1e-05,
            "expectedFpir": 0.7,
            "extrapolated": False,
            "measuredOn": "calibration",
        },
        gallerySize=120000,
        certified=True,
        candidates=None,
    )

    one_to_n_verification_id: Uuid | None
    one_to_n_verification_match: bool
    match_level: int = Field(description="Level of the best comparison, 0..5.")
    score: float | None = Field(description="Cosine to the nearest entry, 4 decimals; null for an empty gallery.")
    false_match_rate: float = Field(description="Measured false match rate, per comparison, of the level reached.")
    model: str
    decision_level: int = Field(description="Highest level whose threshold the decision's threshold reaches, 0..5.")
    decision: SearchDecision
    gallery_size: int
    certified: bool = Field(description="Whether the search has proven that no entry is nearer.")
    candidates: list[Candidate] | None = None


class InsertRequest(WireModel):
    """A request to enrol a person."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, externalId="customer-4711", metadata={"branch": "Dubai"})

    id_photo: Photo
    source: SourceMember = None
    external_id: Reference | None = Field(None, description="Your own reference, unique in your gallery.")
    metadata: Metadata = Field(default_factory=dict, description="Up to 32 short texts to keep with the entry.")
    consent_reference: ConsentMember = None
    purpose: PurposeMember = None
    expires_at: ExpiryMember = None


class InsertReply(WireModel):
    """The id of the new entry."""

    model_config = example(oneToNVerificationId=EXAMPLE_ID)

    one_to_n_verification_id: Uuid


class EntryReply(WireModel):
    """The metadata of an enrolled person, without photo and templates."""

    one_to_n_verification_id: Uuid
    external_id: str | None
    metadata: dict[str, str]
    quality: int
    image_stored: bool
    created_at: Time
    consent_reference: str | None
    purpose: str | None
    expires_at: Time | None = Field(description="When the entry is erased; null for never.")
    legal_hold: str | None = Field(description="Reference of the legal hold that keeps the entry; null without one.")


class EntryPage(WireModel):
    """One page of the gallery, in order of enrolment."""

    entries: list[EntryReply]
    next: Annotated[str, Field(pattern=CURSOR_PATTERN)] | None = Field(
        description="Cursor of the next page; null on the last page."
    )
