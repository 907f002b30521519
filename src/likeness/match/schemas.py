"""The request and the reply of ``POST /api/v1/face/match`` (contract §4)."""

from typing import Annotated

from pydantic import Field

from likeness.engine.base import Face, Quality
from likeness.web.wire import EXAMPLE_PHOTO, Level, Photo, WireModel, example


class MatchRequest(WireModel):
    """A request to compare the faces of two photos."""

    model_config = example(sourceImage=EXAMPLE_PHOTO, targetImage=EXAMPLE_PHOTO, minimumMatchLevel=3)

    source_image: Photo
    target_image: Photo
    minimum_match_level: Level = 3


class FaceBox(WireModel):
    """A face's box in pixels of the upright photo."""

    x: float
    y: float
    width: float
    height: float


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
        box = face.detection.box
        rounded = FaceBox(x=round(box.x, 1), y=round(box.y, 1), width=round(box.width, 1), height=round(box.height, 1))
        return cls(box=rounded, quality=FaceQuality.of(face.quality))


class MatchReply(WireModel):
    """Whether both faces match, the score and the level, and the face found in each photo."""

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
    target: FaceReport
