"""The choice of a photo's subject."""

import numpy as np
import pytest

from likeness.engine.base import Box, Detection
from likeness.engine.policy import FacePolicy
from likeness.engine.subject import choose_subject
from likeness.errors import MultipleFaces, NoFace

SIZE = (640, 480)


def face(x: float, y: float, width: float, confidence: float = 1.0) -> Detection:
    """Return a face with this centre, in fractions of the photo, and this width in pixels."""
    box = Box(x * SIZE[0] - width / 2, y * SIZE[1] - width / 2, width, width)
    return Detection(box, np.zeros((5, 2), np.float32), confidence)


MIDDLE = face(0.5, 0.5, 150)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [face(0.1, 0.3, 100)],  # smaller, so farther away
        [face(0.9, 0.5, 150)],  # cut off at the edge: a person who walks by
        [face(0.8, 0.6, 130)],  # a little smaller, and away from the middle
        [face(0.8, 0.5, 150, confidence=0.6)],  # hardly visible
    ],
)
def test_the_face_in_the_middle_is_the_subject(others: list[Detection]) -> None:
    assert choose_subject([*others, MIDDLE], SIZE, FacePolicy.LARGEST) is MIDDLE


@pytest.mark.parametrize(
    "faces",
    [
        [face(0.3, 0.5, 150), face(0.7, 0.5, 150)],
        [face(0.2, 0.5, 150), MIDDLE, face(0.8, 0.5, 150)],
        [MIDDLE, face(0.05, 0.5, 400)],
    ],
)
def test_a_rival_makes_the_photo_ambiguous(faces: list[Detection]) -> None:
    with pytest.raises(MultipleFaces, match="none is clearly"):
        choose_subject(faces, SIZE, FacePolicy.LARGEST)


def test_a_face_out_of_focus_is_no_rival() -> None:
    behind = face(0.8, 0.5, 150)
    assert choose_subject([MIDDLE, behind], SIZE, FacePolicy.LARGEST, lambda other: other is not behind) is MIDDLE
    with pytest.raises(MultipleFaces, match="more than one"):
        choose_subject([MIDDLE, behind], SIZE, FacePolicy.SINGLE, lambda _: False)


def test_a_far_larger_face_wins_off_the_middle_too() -> None:
    large = face(0.35, 0.5, 250)
    small = face(0.8, 0.2, 60)
    assert choose_subject([small, large], SIZE, FacePolicy.LARGEST) is large


def test_the_single_policy_allows_nobody_else() -> None:
    with pytest.raises(MultipleFaces, match="more than one"):
        choose_subject([MIDDLE, face(0.1, 0.1, 30)], SIZE, FacePolicy.SINGLE)


def test_nobody() -> None:
    with pytest.raises(NoFace):
        choose_subject([], SIZE, FacePolicy.LARGEST)


PORTRAIT = face(0.2, 0.5, 150)


@pytest.mark.parametrize("others", [[], [face(0.8, 0.6, 130)], [face(0.5, 0.5, 120)], [face(0.7, 0.5, 150, 0.6)]])
def test_the_largest_face_of_a_document_is_its_portrait_wherever_it_is(others: list[Detection]) -> None:
    assert choose_subject([*others, PORTRAIT], SIZE, FacePolicy.DOCUMENT) is PORTRAIT


def test_a_document_with_two_faces_of_one_size_has_no_portrait() -> None:
    faces = [PORTRAIT, face(0.8, 0.5, 145)]
    with pytest.raises(MultipleFaces):
        choose_subject(faces, SIZE, FacePolicy.DOCUMENT)
    assert choose_subject(faces, SIZE, FacePolicy.DOCUMENT, lambda each: each is PORTRAIT) is PORTRAIT
    with pytest.raises(NoFace):
        choose_subject([], SIZE, FacePolicy.DOCUMENT)
