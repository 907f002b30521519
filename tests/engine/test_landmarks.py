import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection, Engine
from likeness.engine.landmarks import SIDE, FaceLandmarks, LandmarkEstimator
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_landmarks
from likeness.engine.packs.store import WeightStore
from likeness.engine.photo.decoding import decode

FACE = np.array([(80, 100), (120, 100), (100, 124), (84, 144), (116, 144)], np.float64)
MIDDLE = np.array([100, 122])


class BrightestPoint:
    """A stub of the network. Every landmark is the brightest pixel of the square, with a depth of 16 pixels."""

    def run(self, *, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.square = pixels[0]
        row, column = np.unravel_index(pixels[0, :, :, 0].argmax(), (SIDE, SIDE))
        points = np.tile(np.array([column + 0.5, row + 0.5, 16], np.float32), (1, 478, 1))
        return {"landmarks": points, "presence": np.array([[0.9]], np.float32)}


def turned(points: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (points - MIDDLE) @ turn.T + MIDDLE


def detection(points: NDArray[np.number], box_centre: Sequence[float] | NDArray[np.number] = MIDDLE) -> Detection:
    box = Box(box_centre[0] - 30, box_centre[1] - 40, 60, 80)
    return Detection(box, points.astype(np.float32), 0.99)


def spot(at: Sequence[float] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a picture that is bright around one place."""
    rows, columns = np.mgrid[0:240, 0:220]
    distance = np.hypot(columns - at[0], rows - at[1])
    return np.repeat(np.clip(255 - 12 * distance, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -120])
def test_landmarks_are_reported_in_the_photo(degrees: float) -> None:
    at = turned(np.array([[90.0, 110.0]]), degrees)[0]
    network = BrightestPoint()
    found = LandmarkEstimator(network).estimate(spot(at), detection(turned(FACE, degrees)))  # type: ignore[arg-type]
    assert found.points.shape == (478, 3)
    assert found.points[77, :2] == pytest.approx(at, abs=0.5)
    assert found.points[77, 2] == pytest.approx(16 * 3.42 * 44 / SIDE, abs=0.1)
    assert found.presence == pytest.approx(0.9)
    # The face is upright in the square, so the spot is always above and to the left of the face's middle.
    row, column = np.unravel_index(network.square[:, :, 0].argmax(), (SIDE, SIDE))
    assert (column, row) == pytest.approx((SIDE / 2 - 10 * SIDE / 150.5, SIDE / 2 - 12 * SIDE / 150.5), abs=2)


def test_the_square_follows_the_box_across_and_the_landmarks_up_and_down() -> None:
    network = BrightestPoint()
    LandmarkEstimator(network).estimate(spot((110, 122)), detection(FACE, box_centre=(110, 150)))  # type: ignore[arg-type]
    row, column = np.unravel_index(network.square[:, :, 0].argmax(), (SIDE, SIDE))
    assert (column, row) == pytest.approx((127.5, 127.5), abs=1.5)


def test_five_landmarks_in_one_place_are_no_error() -> None:
    found = LandmarkEstimator(BrightestPoint()).estimate(spot((100, 122)), detection(np.tile(MIDDLE, (5, 1))))  # type: ignore[arg-type]
    assert np.isfinite(found.points).all()


def test_landmarks_in_a_larger_photo_lie_at_the_same_places() -> None:
    found = FaceLandmarks(np.array([[10, 20, -4]], np.float32), 0.8).enlarged(2)
    assert found.points.tolist() == [[20.5, 40.5, -8]]
    assert found.presence == 0.8


def test_nothing_is_loaded_that_was_not_installed(tmp_path: Path) -> None:
    assert load_landmarks(tmp_path) is None


@pytest.fixture(scope="module")
def estimator(tmp_path_factory: pytest.TempPathFactory, data: Path) -> LandmarkEstimator | None:
    models = tmp_path_factory.mktemp("landmarks")
    WeightStore(models, data / "models").install(Catalogue(models).get(PackId("face-landmarks")))
    return load_landmarks(models)


@pytest.mark.data
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_portrait_has_its_landmarks_however_it_is_turned(
    estimator: LandmarkEstimator, builtin: Engine, astronaut: bytes, turns: int
) -> None:
    portrait = decode(astronaut)
    upright = estimator.estimate(portrait, builtin.detect(portrait)[0])
    image = np.ascontiguousarray(np.rot90(portrait, turns))
    found = estimator.estimate(image, builtin.detect(image)[0])
    assert min(upright.presence, found.presence) > 0.99
    points = upright.points[:, :2]
    for _ in range(turns):
        points = np.stack([points[:, 1], 511 - points[:, 0]], axis=1)
    eye_distance = 41
    assert np.abs(found.points[:, :2] - points).max() < 0.1 * eye_distance
    # The eye landmarks of the detection are near the irises.
    left, right = upright.points[468, :2], upright.points[473, :2]
    assert np.abs(builtin.detect(portrait)[0].landmarks[:2] - [left, right]).max() < 0.1 * eye_distance


@pytest.mark.data
def test_no_face_is_present_on_a_plain_wall(estimator: LandmarkEstimator) -> None:
    wall = np.full((240, 220, 3), 120, np.uint8)
    assert estimator.estimate(wall, detection(FACE)).presence < 0.5
