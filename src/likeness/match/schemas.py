"""The request and the reply of ``POST /api/v1/face/match`` (contract §4)."""

import base64
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from likeness.engine.base import Detection, Face, Quality
from likeness.engine.portrait import CutPortrait
from likeness.engine.source import PhotoSource, SourceMember
from likeness.kit.ids import is_uuid
from likeness.web.wire import EXAMPLE_PHOTO, Level, Photo, Uuid, WireModel, example


def _known_form(value: str) -> str:
    """Give an id as it is stored."""
    if not is_uuid(value):
        raise ValueError("is not an id")
    return value.lower()


class TwoPhotosRequest(WireModel):
    """A request to compare the faces of two photos, from a page that offers nothing else."""

    source_image: Photo
    target_image: Photo
    minimum_match_level: Level = 3


class MatchRequest(WireModel):
    """A request to compare the face of a photo with that of another photo, or with an enrolled person."""

    model_config = example(sourceImage=EXAMPLE_PHOTO, targetImage=EXAMPLE_PHOTO, minimumMatchLevel=3)

    source_image: Photo
    target_image: Photo | None = None
    target_id: Annotated[Uuid, AfterValidator(_known_form)] | None = Field(
        None, description="The oneToNVerificationId of an enrolled person, in the place of `targetImage`."
    )
    minimum_match_level: Level = 3
    source: SourceMember = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target_image is None) == (self.target_id is None):
            raise ValueError("send either targetImage or targetId")
        return self


class PortraitRequest(WireModel):
    """A photo of a document whose portrait is wanted."""

    model_config = example(idPhoto=EXAMPLE_PHOTO)

    id_photo: Photo
    source: SourceMember = PhotoSource.ID_DOCUMENT


class FaceBox(WireModel):
    """A face's box in pixels of the upright photo."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, face: Detection) -> "FaceBox":
        box = face.box
        return cls(x=round(box.x, 1), y=round(box.y, 1), width=round(box.width, 1), height=round(box.height, 1))


class FaceQuality(WireModel):
    """The unified quality score (ISO/IEC 29794-5), 0..100, and its measures."""

    score: int
    measures: dict[str, int]

    @classmethod
    def of(cls, quality: Quality) -> "FaceQuality":
        return cls(score=quality.score, measures={measure.name: measure.scalar for measure in quality.measures})


class FaceReport(WireModel):
    """The face that was found in one photo, and its quality."""

    box: FaceBox
    quality: FaceQuality

    @classmethod
    def of(cls, face: Face) -> "FaceReport":
        return cls(box=FaceBox.of(face.detection), quality=FaceQuality.of(face.quality))


class MatchReply(WireModel):
    """Whether both faces match, the score and the level, and the face found in each photo that was sent."""

    model_config = example(
        match=True,
        matchLevel=4,
        score=0.9312,
        falseMatchRate=1e-05,
        model="builtin@3",
        source={
            "box": {"x": 178.2, "y": 62.9, "width": 89.9, "height": 113.3},
            "quality": {"score": 81, "measures": {"Sharpness": 77}},
        },
        target={
            "box": {"x": 61.4, "y": 40.1, "width": 92.0, "height": 117.5},
            "quality": {"score": 74, "measures": {"Sharpness": 63}},
        },
    )

    match: bool
    match_level: Annotated[int, Field(ge=0, le=5)]
    score: Annotated[float, Field(description="Cosine of the two templates, 4 decimals.")]
    false_match_rate: Annotated[
        float,
        Field(
            description="False match rate of the level reached, as measured on the people of the pack's calibration. "
            "Among people who look more alike it is higher."
        ),
    ]
    model: Annotated[str, Field(description="Model pack and version.", examples=["builtin@3"])]
    source: FaceReport
    target: FaceReport | None = Field(description="Null for an enrolled person.")


class PortraitReply(WireModel):
    """The upright portrait, and the face that it was cut for."""

    model_config = example(
        portrait=EXAMPLE_PHOTO,
        width=240,
        height=320,
        box={"x": 61.4, "y": 40.1, "width": 92.0, "height": 117.5},
        quality={"score": 74, "measures": {"Sharpness": 63}},
        reasons=[],
    )

    portrait: Annotated[str, Field(description="JPEG, base64.", json_schema_extra={"format": "byte"})]
    width: int
    height: int
    box: Annotated[FaceBox, Field(description="The face in the photo that was sent.")]
    quality: FaceQuality
    reasons: Annotated[
        list[str], Field(description="Measures for which the photo would be refused as an ID photo; empty if good.")
    ]

    @classmethod
    def of(cls, portrait: CutPortrait) -> "PortraitReply":
        width, height = portrait.size
        return cls(
            portrait=base64.b64encode(portrait.jpeg).decode(),
            width=width,
            height=height,
            box=FaceBox.of(portrait.face),
            quality=FaceQuality.of(portrait.quality),
            reasons=list(portrait.quality.reasons),
        )
