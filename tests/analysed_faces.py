"""What every analyst must give: an engine's faces bit for bit, and its refusals."""

from dataclasses import asdict

import pytest

from likeness.engine.analysts.base import Analyst, EngineHere
from likeness.engine.base import Face, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.errors import (
    InvalidImage,
    LikenessError,
    LowQuality,
    MultipleFaces,
    NoFace,
    UnsupportedMediaType,
)

REFUSED: dict[type[LikenessError], bytes] = {
    UnsupportedMediaType: b"GIF89a",
    InvalidImage: b"\xff\xd8\xff\xe0 cut short",
    NoFace: fake_photo(1, faces=0),
    MultipleFaces: fake_photo(1, faces=2),
    LowQuality: fake_photo(1, dim=True),
}


def demand_same(one: Face, other: Face) -> None:
    assert one.template.tobytes() == other.template.tobytes()
    assert one.template.dtype == other.template.dtype
    assert one.detection.box == other.detection.box
    assert one.detection.landmarks.tobytes() == other.detection.landmarks.tobytes()
    assert one.detection.confidence == other.detection.confidence
    assert asdict(one.quality) == asdict(other.quality)
    assert one.image_size == other.image_size


def demand_engines_answers(analyst: Analyst) -> None:
    """Compare an analyst of the fake pack with its engine."""
    here = EngineHere(FakeEngine())
    photo = fake_photo(3)
    for use in Use:
        found = analyst.analyse(photo, use=use, policy=FacePolicy.LARGEST)
        demand_same(found, here.analyse(photo, use=use, policy=FacePolicy.LARGEST))
    embedded = analyst.embed(REFUSED[LowQuality], policy=FacePolicy.SINGLE)
    assert embedded.tobytes() == here.embed(REFUSED[LowQuality], policy=FacePolicy.SINGLE).tobytes()


def demand_engines_refusal(analyst: Analyst, error: type[LikenessError]) -> None:
    """Compare an analyst's refusal with that of the fake pack's engine."""
    raised = []
    for each in (analyst, EngineHere(FakeEngine())):
        with pytest.raises(error) as caught:
            each.analyse(REFUSED[error], use=Use.ENROL, policy=FacePolicy.SINGLE)
        raised.append(caught.value)
    assert type(raised[0]) is type(raised[1])
    assert raised[0].message == raised[1].message
    assert getattr(raised[0], "reasons", None) == getattr(raised[1], "reasons", None)
