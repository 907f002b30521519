import numpy as np
import pytest

from likeness.engine.base import Box, Detection
from likeness.liveness.base import Frame
from likeness.liveness.frame.observation import FaceView, measure_frame
from likeness.liveness.thresholds import THRESHOLDS

NEAR = THRESHOLDS.guidance.near_scale * 480


def near_face(width: int, height: int, *, aside: float = 0.0) -> FaceView:
    """Return a face in the near oval of a grey frame. ``aside`` is its offset in eye distances to the right."""
    points = np.array(((-0.5, -0.5), (0.5, -0.5), (0, 0.15), (-0.4, 0.5), (0.4, 0.5)), np.float32)
    landmarks = points * NEAR + np.array((width / 2 + aside * NEAR, height / 2), np.float32)
    left, top = (landmarks[2] - NEAR).tolist()
    box = Box(left, top, 2 * NEAR, 2 * NEAR)
    frame = Frame(np.full((height, width, 3), 120, np.uint8), 0.0, b"")
    face = measure_frame(frame, [Detection(box, landmarks, 1.0)], THRESHOLDS.guidance).face
    assert face is not None
    return face


@pytest.mark.parametrize("size", [(640, 480), (480, 640)], ids=["lying", "upright"])
@pytest.mark.parametrize("aside", [-0.5, 0.0, 0.5])
def test_every_frame_shows_the_room_beside_a_near_face(size: tuple[int, int], aside: float) -> None:
    assert near_face(*size, aside=aside).beside.mean() > 0.05


def test_the_head_and_the_shoulders_are_not_the_room() -> None:
    face = near_face(640, 480)
    rows, columns = (np.nonzero(face.beside)[axis] * 8 + 4 for axis in (0, 1))
    assert rows.max() < 240 + 0.5 * NEAR
    assert np.abs(columns[np.abs(rows - 240) < 0.5 * NEAR] - 320).min() > 1.4 * NEAR


def test_what_is_clipped_or_black_tells_nothing_of_the_light() -> None:
    landmarks = near_face(640, 480).detection.landmarks
    for grey in (0, 255):
        frame = Frame(np.full((480, 640, 3), grey, np.uint8), 0.0, b"")
        face = measure_frame(frame, [Detection(Box(0, 0, 99, 99), landmarks, 1.0)], THRESHOLDS.guidance).face
        assert not face.beside.any()
