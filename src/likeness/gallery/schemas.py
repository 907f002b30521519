"""What the one-to-n calls take and give (contract §5)."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from likeness.gallery.decision import Rule
from likeness.web.json_object import read_object
from likeness.web.pagination import CURSOR_PATTERN
from likeness.web.wire import EXAMPLE_ID, EXAMPLE_PHOTO, Level, Photo, Time, Uuid, WireModel, example

_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Control characters, and those that change the direction of a line: they would forge what a terminal shows."""
Reference = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=rf"^[^{_UNPRINTABLE}]+$")]


def _read_labels(value: object) -> object:
    """Read the JSON object that a form or a table sends, which know only text."""
    if not isinstance(value, str):
        return value
    try:
        return read_object(value.encode())
    except ValueError as error:
        raise ValueError("is not a JSON object of texts") from error


Metadata = Annotated[
    dict[Reference, Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00]*$")]],
    Field(max_length=32),
    BeforeValidator(_read_labels),
]


class SearchRequest(WireModel):
    """A photo to search for among the enrolled persons."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, insert=False, candidates=0)

    id_photo: Photo
    insert: bool = Field(default=False, description="Enrol the person when nobody is found.")
    candidates: Annotated[int, Field(ge=0, le=50)] = Field(0, description="Length of the ranked list wanted.")
    minimum_match_level: Level | None = Field(None, description="Level of identification; by default the tenant's (4).")


class Candidate(WireModel):
    """An enrolled person, with the score of its comparison."""

    one_to_n_verification_id: Uuid
    external_id: str | None
    score: float
    match_level: int


class SearchDecision(WireModel):
    """From which score on this search says that a person was found, and what that promises.

    The promise is for this size of the gallery.
    """

    rule: Rule = Field(description="What the threshold follows from: a level, or the tenant's target FPIR.")
    threshold: float = Field(description="Least score of a person found.")
    false_match_rate: float = Field(description="False match rate per comparison at the threshold.")
    expected_fpir: float = Field(description="Expected chance that a person who is not enrolled is found.")
    extrapolated: bool = Field(description="Whether the threshold lies past the calibrated ones.")


class SearchReply(WireModel):
    """Whether an enrolled person was found, by which decision, and the candidates that were asked for."""

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
    decision_level: int = Field(description="Level from which the search says that the person was found.")
    decision: SearchDecision
    gallery_size: int
    certified: bool = Field(description="Whether the nearest entry is proven to be the nearest.")
    candidates: list[Candidate] | None = None


class InsertRequest(WireModel):
    """A person to enrol."""

    model_config = example(idPhoto=EXAMPLE_PHOTO, externalId="customer-4711", metadata={"branch": "Dubai"})

    id_photo: Photo
    external_id: Reference | None = Field(None, description="Your own reference, unique in your gallery.")
    metadata: Metadata = Field(default_factory=dict, description="Up to 32 short texts to keep with the entry.")


class InsertReply(WireModel):
    """The id of the new entry."""

    model_config = example(oneToNVerificationId=EXAMPLE_ID)

    one_to_n_verification_id: Uuid


class EntryReply(WireModel):
    """What is kept about an enrolled person, but for photo and templates."""

    one_to_n_verification_id: Uuid
    external_id: str | None
    metadata: dict[str, str]
    quality: int
    image_stored: bool
    created_at: Time


class EntryPage(WireModel):
    """One page of the gallery, in order of enrolment."""

    entries: list[EntryReply]
    next: Annotated[str, Field(pattern=CURSOR_PATTERN)] | None = Field(
        description="Cursor of the next page; null on the last."
    )
