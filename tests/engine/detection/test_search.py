import cv2
import numpy as np
import pytest

from likeness.engine.base import Box, Detection
from likeness.engine.detection.search import FaceSearch, turn_back

TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class MarkerDetector:
    """Finds one bright block, if it is large enough and its brightest corner is at the top left, as upright faces have theirs."""

    convincing, credible, finest = 0.9, 0.5, 10.0

    def __init__(self, confidence_upright=0.99, confidence_turned=0.0):
        self.looks = []
        self._confidences = confidence_turned, confidence_upright

    def detect(self, image, *, smallest):
        self.looks.append((image.shape[:2], smallest))
        rows, columns = np.nonzero(image[:, :, 0] >= 100)
        if not rows.size or columns.max() - columns.min() + 1 < smallest:
            return []
        left, top = columns.min(), rows.min()
        width, height = columns.max() + 1 - left, rows.max() + 1 - top
        upright = int(image[top, left, 0] == 255)
        confidence = self._confidences[upright]
        if not confidence:
            return []
        landmarks = np.array(
            [(left, top), (left + width - 1, top), (left, top + height - 1)] + [(left, top)] * 2, np.float32
        )
        return [Detection(Box(float(left), float(top), float(width), float(height)), landmarks, confidence)]


def picture(size=(400, 500), at=(100, 150), face=(60, 80)):
    image = np.zeros((*size, 3), np.uint8)
    image[at[0] : at[0] + face[1], at[1] : at[1] + face[0]] = 100
    image[at[0], at[1]] = 255
    return image


def test_a_large_face_costs_one_look():
    detector = MarkerDetector()
    (face,) = FaceSearch(detector).subject_and_rivals(picture(face=(120, 160)))
    assert (face.box.x, face.box.y, face.box.width, face.box.height) == (150, 100, 120, 160)
    assert len(detector.looks) == 1


def test_a_small_face_is_found_by_a_finer_look():
    detector = MarkerDetector()
    (face,) = FaceSearch(detector).subject_and_rivals(picture(face=(14, 18)))
    assert face.box.width == 14
    widths = [smallest for shape, smallest in detector.looks if shape == (400, 500)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == detector.finest


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("face", [(120, 160), (60, 80)])
def test_a_turned_photo_gives_the_same_face_in_its_own_coordinates(turns, face):
    upright = picture(face=face)
    turned = np.ascontiguousarray(np.rot90(upright, turns))
    (found,) = FaceSearch(MarkerDetector()).subject_and_rivals(turned)
    x, y = (int(value) for value in found.landmarks[0])
    assert turned[y, x, 0] == 255
    box = found.box
    inside = turned[int(box.y) : int(box.y + box.height), int(box.x) : int(box.x + box.width), 0]
    assert (inside >= 100).all()
    assert (turned[:, :, 0] >= 100).sum() == inside.size


@pytest.mark.parametrize("turns", TURNS)
def test_turning_back(turns):
    image = np.zeros((30, 50, 3), np.uint8)
    image[7, 12] = 255
    turned = cv2.rotate(image, TURNS[turns])
    (row,), (column,) = np.nonzero(turned[:, :, 0])
    face = Detection(Box(float(column), float(row), 1, 1), np.full((5, 2), (column, row), np.float32), 1.0)
    back = turn_back(face, turns, 50, 30)
    assert back.landmarks[0].tolist() == [12, 7]
    assert (back.box.x, back.box.y, back.box.width, back.box.height) == (12, 7, 1, 1)


def test_doubt_looks_at_other_orientations_and_stays_when_they_are_no_better():
    detector = MarkerDetector(confidence_upright=0.6)
    (face,) = FaceSearch(detector).all_faces(picture())
    assert face.confidence == 0.6
    assert {shape for shape, _ in detector.looks} == {(400, 500), (500, 400)}


def test_a_picture_known_to_be_upright_is_looked_at_once():
    detector = MarkerDetector(confidence_upright=0.6)
    (face,) = FaceSearch(detector).all_faces(picture(), upright=True)
    assert face.confidence == 0.6
    assert len(detector.looks) == 1


def test_a_face_seen_better_in_another_orientation_is_taken_from_there():
    turned = np.ascontiguousarray(np.rot90(picture(face=(120, 160)), 2))
    (face,) = FaceSearch(MarkerDetector(confidence_turned=0.7)).subject_and_rivals(turned)
    assert face.confidence == 0.99


def test_something_doubtful_beside_a_convincing_face_is_dropped():
    class Two(MarkerDetector):
        def detect(self, image, *, smallest):
            faces = super().detect(image, smallest=smallest)
            return [*faces, Detection(Box(0, 0, 40, 40), faces[0].landmarks, 0.4)] if faces else []

    assert len(FaceSearch(Two()).all_faces(picture())) == 1
    assert len(FaceSearch(Two(confidence_upright=0.8)).all_faces(picture())) == 2


def test_something_doubtful_on_its_own_must_be_large():
    detector = MarkerDetector(confidence_upright=0.7)
    assert len(FaceSearch(detector).all_faces(picture(face=(40, 50)))) == 1
    assert FaceSearch(detector).all_faces(picture(face=(20, 30))) == []


def test_nothing_found():
    assert FaceSearch(MarkerDetector()).subject_and_rivals(np.zeros((50, 40, 3), np.uint8)) == []
    assert FaceSearch(MarkerDetector()).all_faces(np.zeros((1, 1, 3), np.uint8), 5.0) == []


def test_a_huge_photo_costs_no_more_than_a_large_one():
    detector = MarkerDetector()
    FaceSearch(detector).all_faces(np.zeros((640, 6400, 3), np.uint8))
    assert {smallest for _, smallest in detector.looks} == {100.0}
    FaceSearch(detector).all_faces(np.zeros((640, 6400, 3), np.uint8), 12.0)
    assert min(smallest for _, smallest in detector.looks) == 12.0
