"""The measures find the defects of a real face image that was spoiled on purpose."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from likeness.engine.base import Engine, Use
from likeness.engine.photo.decoding import decode
from likeness.evaluation.recognition.treatments import AS_IT_IS, TREATMENTS

REASONS = {
    "blur 4": "Sharpness",
    "blur 7": "Sharpness",
    "motion 13": "Sharpness",
    "pixelated 7": "CompressionArtifacts",
    "mask": "MouthOcclusionPrevention",
    "dark mask": "MouthOcclusionPrevention",
    "dark glasses": "EyesVisible",
    "half hidden": "FaceOcclusionPrevention",
    "negative": "NaturalColour",
    "fax": "NaturalColour",
    "width x0.5": "PixelAspectRatio",
    "width x2.2": "PixelAspectRatio",
}
HARMLESS = (
    AS_IT_IS,
    "blur 1",
    "blur 2",
    "motion 7",
    "dark 1/10",
    "dark 1/40",
    "bright x2",
    "noise 15",
    "jpeg 15",
    "grey",
    "mirrored",
    "turned 135",
    "width x1.4",
    "cut at the temple",
)


@pytest.fixture(scope="module")
def reasons(builtin: Engine, astronaut: bytes) -> Callable[..., Any]:
    """Return a function from a treatment to the reasons for which the photo is refused."""
    image = decode(astronaut)
    plain = builtin.detect(image)[0]

    def refuse(name: str) -> Any:
        treated = TREATMENTS[name](image, plain.landmarks, np.random.default_rng(1))
        (face, *_) = builtin.detect(treated) or [plain]  # most detectors find no face in a negative
        return builtin.assess(treated, face, use=Use.PROBE).reasons

    return refuse


@pytest.mark.parametrize(("treatment", "reason"), REASONS.items(), ids=REASONS)
def test_a_spoiled_face_is_refused_by_the_name_of_what_spoils_it(
    reasons: Callable[..., Any], treatment: str, reason: str
) -> None:
    assert reason in reasons(treatment)


@pytest.mark.parametrize("treatment", HARMLESS)
def test_what_spoils_nothing_is_taken(reasons: Callable[..., Any], treatment: str) -> None:
    assert reasons(treatment) == ()


def test_mouth_and_eyes_are_judged_apart(reasons: Callable[..., Any]) -> None:
    both = {"MouthOcclusionPrevention", "EyesVisible"}
    assert both & set(reasons("mask")) == {"MouthOcclusionPrevention"}
    assert both & set(reasons("dark glasses")) == {"EyesVisible"}
    assert both <= set(reasons("mask and glasses"))


def test_the_unified_score_falls_with_what_spoils(builtin: Engine, astronaut: bytes) -> None:
    image = decode(astronaut)
    (face,) = builtin.detect(image)

    def score(name: str) -> int:
        treated = TREATMENTS[name](image, face.landmarks, np.random.default_rng(1))
        return builtin.assess(treated, face, use=Use.PROBE).score

    assert score("blur 2") > score("blur 3") > score("blur 5")
    assert score("dark 1/10") > score("dark 1/40")
    assert score(AS_IT_IS) > score("mask and glasses")
