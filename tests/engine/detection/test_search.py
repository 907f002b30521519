from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection
from likeness.engine.detection import Look, Trace
from likeness.engine.detection.search import FaceSearch
from likeness.engine.detection.turning import turn, turn_back, turned_part
from likeness.engine.detection.work import PER_PHOTO, Work

TURNS = (1, 2, 3)


class MarkerDetector:
    """A detector of one block that is large enough. A block is upright if its bright quarter is the top left one.

    A block that is too small, but a third as large as it must be, gives a trace.
    """

    convincing, credible, finest = 0.9, 0.5, 10.0

    def __init__(self, confidence_upright: float = 0.99, confidence_turned: float = 0.0) -> None:
        self.looks: list[Any] = []
        self.spent = 0.0
        self._confidences = confidence_turned, confidence_upright

    def look(self, image: NDArray[np.uint8], *, smallest: float, work: Work, traces: bool = False) -> Look:
        self.looks.append((image.shape[:2], smallest))
        cost = min(image.shape[0] * image.shape[1] * min(20 / smallest, 1) ** 2, work.left)
        self.spent += cost
        work.spend(cost)
        seen = self.faces(image, 1)
        faces = [face for face in seen if face.box.width >= smallest]
        traceed = [Trace(face.box, 0.5) for face in seen if face.box.width >= smallest / 3]
        return Look(faces, traceed if traces and not faces else [])

    def faces(self, image: NDArray[np.uint8], smallest: float) -> list[Detection]:
        rows, columns = np.nonzero(image[:, :, 0] >= 50)
        if not rows.size or columns.max() - columns.min() + 1 < smallest:
            return []
        left, top = columns.min(), rows.min()
        width, height = columns.max() + 1 - left, rows.max() + 1 - top
        quarter = image[top : top + height // 2 + 1, left : left + width // 2 + 1, 0]
        confidence = self._confidences[int(quarter.mean() > 150)]
        if not confidence:
            return []
        landmarks = np.array(
            [(left, top), (left + width - 1, top), (left, top + height - 1)] + [(left, top)] * 2, np.float32
        )
        return [Detection(Box(float(left), float(top), float(width), float(height)), landmarks, confidence)]


def picture(
    size: tuple[int, int] = (400, 500), at: tuple[int, int] = (100, 150), face: tuple[int, int] = (60, 80)
) -> NDArray[np.uint8]:
    image = np.zeros((*size, 3), np.uint8)
    image[at[0] : at[0] + face[1], at[1] : at[1] + face[0]] = 100
    image[at[0] : at[0] + face[1] // 2, at[1] : at[1] + face[0] // 2] = 200
    return image


def test_a_large_face_costs_one_look() -> None:
    detector = MarkerDetector()
    (face,) = FaceSearch(detector).subject_and_rivals(picture(face=(120, 160)))
    assert (face.box.x, face.box.y, face.box.width, face.box.height) == (150, 100, 120, 160)
    assert len(detector.looks) == 1


def test_a_small_face_is_found_by_a_finer_look() -> None:
    detector = MarkerDetector()
    (face,) = FaceSearch(detector).subject_and_rivals(picture(face=(14, 18)))
    assert face.box.width == 14
    assert min(smallest for _, smallest in detector.looks[:2]) > detector.finest
    assert detector.looks[-1] == ((400, 500), detector.finest)


def test_the_finest_look_is_not_made_without_a_trace() -> None:
    detector = MarkerDetector()
    assert FaceSearch(detector).subject_and_rivals(np.zeros((400, 500, 3), np.uint8)) == []
    assert ((400, 500), detector.finest) not in detector.looks


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("face", [(120, 160), (60, 80)])
def test_a_turned_photo_gives_the_same_face_in_its_own_coordinates(turns: int, face: tuple[int, int]) -> None:
    upright = picture(face=face)
    turned = np.ascontiguousarray(np.rot90(upright, turns))
    (found,) = FaceSearch(MarkerDetector()).subject_and_rivals(turned)
    x, y = (int(value) for value in found.landmarks[0])
    assert turned[y, x, 0] == 200
    box = found.box
    inside = turned[int(box.y) : int(box.y + box.height), int(box.x) : int(box.x + box.width), 0]
    assert (inside >= 100).all()
    assert (turned[:, :, 0] >= 100).sum() == inside.size


@pytest.mark.parametrize("eighths", range(1, 8))
@pytest.mark.parametrize("size", [(30, 50), (51, 31)])
def test_what_is_found_on_a_turned_canvas_goes_back_to_where_it_was(eighths: int, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    image[4:9, 10:15] = 255
    turned, back = turn(image, eighths)
    rows, columns = np.nonzero(turned[:, :, 0] > 127)
    middle = np.array([columns.mean(), rows.mean()], np.float32)
    box = Box(float(middle[0]) - 1.5, float(middle[1]) - 0.5, 4, 2)
    found = turn_back(Detection(box, np.tile(middle, (5, 1)), 0.7), back)
    assert found.landmarks[0] == pytest.approx((12, 6), abs=0.3)
    assert found.confidence == 0.7
    assert (found.box.x + found.box.width / 2, found.box.y + found.box.height / 2) == pytest.approx(
        (12.5, 6.5), abs=0.3
    )
    extents = {0: (4, 2), 2: (2, 4)}.get(eighths % 4, (10**0.5, 10**0.5))
    assert (found.box.width, found.box.height) == pytest.approx(extents, abs=1e-6)
    assert turned.shape[:2] == {0: size, 2: size[::-1]}.get(eighths % 4, turned.shape[:2])


@pytest.mark.parametrize("size", [(60, 60), (400, 500), (100, 900)])
def test_a_photo_of_any_size_is_turned_all_the_way_round_while_nothing_convinces(size: tuple[int, int]) -> None:
    detector = MarkerDetector(confidence_upright=0.6)
    FaceSearch(detector).subject_and_rivals(picture(size=size, at=(5, 5), face=(30, 40)))
    shapes_at: dict[Any, Any] = {}
    for shape, smallest in detector.looks:
        shapes_at.setdefault(smallest, []).append(shape)
    assert any(len(shapes) >= 7 for shapes in shapes_at.values())


@pytest.mark.parametrize("size", [(40, 30), (400, 500), (100, 5000), (750, 1000), (3000, 4000)])
def test_a_photo_without_a_face_costs_bounded_work(size: tuple[int, int]) -> None:
    detector = MarkerDetector(confidence_upright=0.3)
    search = FaceSearch(detector)
    for image in (np.zeros((*size, 3), np.uint8), picture(size=size, at=(1, 1), face=(12, 16))):
        detector.spent = 0
        assert search.subject_and_rivals(image) == []
        assert detector.spent <= PER_PHOTO + 800_000


@pytest.mark.parametrize("eighths", range(8))
def test_a_part_is_turned_as_the_whole_photo_is(eighths: int) -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    image[40:46, 70:76] = 255
    part = turned_part(image, (62.5, 42.5), 60, eighths, side=120)
    rows, columns = np.nonzero(part[:, :, 0] > 127)
    angle = eighths * np.pi / 4
    across, down = columns.mean() - 59.5, rows.mean() - 59.5
    assert (across, down) == pytest.approx((20 * np.cos(angle), -20 * np.sin(angle)), abs=1)


def test_a_turned_subject_is_not_lost_to_the_finest_look() -> None:
    lying = np.ascontiguousarray(np.rot90(picture(face=(25, 30)), 1))
    (face,) = FaceSearch(MarkerDetector()).subject_and_rivals(lying)
    assert face.confidence == 0.99


def test_doubt_looks_at_other_orientations_and_stays_when_they_are_no_better() -> None:
    detector = MarkerDetector(confidence_upright=0.6)
    (face,) = FaceSearch(detector).all_faces(picture())
    assert face.confidence == 0.6
    assert detector.looks[0] == ((400, 500), detector.finest)
    assert len(detector.looks) >= 8


def test_a_picture_known_to_be_upright_is_looked_at_once() -> None:
    detector = MarkerDetector(confidence_upright=0.6)
    (face,) = FaceSearch(detector).all_faces(picture(), upright=True)
    assert face.confidence == 0.6
    assert len(detector.looks) == 1


def test_a_face_seen_better_in_another_orientation_is_taken_from_there() -> None:
    turned = np.ascontiguousarray(np.rot90(picture(face=(120, 160)), 2))
    (face,) = FaceSearch(MarkerDetector(confidence_turned=0.7)).subject_and_rivals(turned)
    assert face.confidence == 0.99


def test_the_likeliest_orientation_is_taken_where_none_convinces() -> None:
    turned = np.ascontiguousarray(np.rot90(picture(face=(120, 160))))
    (face,) = FaceSearch(MarkerDetector(confidence_upright=0.8)).subject_and_rivals(turned)
    x, y = (int(value) for value in face.landmarks[0])
    assert turned[y, x, 0] == 200


@pytest.mark.parametrize(("right", "wrong"), [(0.7, 0.0), (0.8, 0.65)])
def test_an_orientation_that_is_hardly_likely_is_not_taken(right: float, wrong: float) -> None:
    turned = np.ascontiguousarray(np.rot90(picture(face=(120, 160))))
    detector = MarkerDetector(confidence_upright=right, confidence_turned=wrong)
    assert [face.confidence for face in FaceSearch(detector).subject_and_rivals(turned)] == [wrong] * bool(wrong)


def test_something_doubtful_beside_a_convincing_face_is_dropped() -> None:
    class Two(MarkerDetector):
        def faces(self, image: NDArray[np.uint8], smallest: float) -> list[Detection]:
            faces = super().faces(image, smallest)
            return [*faces, Detection(Box(0, 0, 40, 40), faces[0].landmarks, 0.4)] if faces else []

    assert len(FaceSearch(Two()).all_faces(picture())) == 1
    assert len(FaceSearch(Two(confidence_upright=0.8)).all_faces(picture())) == 2


def test_something_doubtful_on_its_own_must_be_large() -> None:
    detector = MarkerDetector(confidence_upright=0.7)
    assert len(FaceSearch(detector).all_faces(picture(face=(40, 50)))) == 1
    assert FaceSearch(detector).all_faces(picture(face=(20, 30))) == []


def test_nothing_found() -> None:
    assert FaceSearch(MarkerDetector()).subject_and_rivals(np.zeros((50, 40, 3), np.uint8)) == []
    assert FaceSearch(MarkerDetector()).all_faces(np.zeros((1, 1, 3), np.uint8), 5.0) == []


def test_the_smallest_face_of_a_huge_photo_grows_with_it() -> None:
    detector = MarkerDetector()
    FaceSearch(detector).all_faces(np.zeros((640, 6400, 3), np.uint8))
    assert detector.looks[0] == ((640, 6400), 100.0)
    FaceSearch(detector).all_faces(np.zeros((640, 6400, 3), np.uint8), 12.0)
    assert min(smallest for _, smallest in detector.looks) == 12.0
