import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.engine.alignment import ChipView, cut_chips, similarity

REFERENCE = np.array([(38, 52), (74, 52), (56, 72), (42, 92), (71, 92)], np.float32)


@given(st.floats(-3.1, 3.1), st.floats(0.2, 5), st.floats(-200, 200), st.floats(-200, 200))
def test_similarity_undoes_what_was_done(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (REFERENCE @ turn.T + (x, y)).astype(np.float32)
    matrix = similarity(moved, REFERENCE)
    assert np.allclose(moved @ matrix[:, :2].T + matrix[:, 2], REFERENCE, atol=1e-3)


def test_similarity_is_the_least_squares_fit() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5, 2)).astype(np.float32) * 30
    x, y = source.T
    rows = np.vstack(
        [np.stack([x, -y, np.ones(5), np.zeros(5)], axis=1), np.stack([y, x, np.zeros(5), np.ones(5)], axis=1)]
    )
    (a, b, left, top), *_ = np.linalg.lstsq(rows, REFERENCE.T.ravel(), rcond=None)
    assert np.allclose(similarity(source, REFERENCE), [[a, -b, left], [b, a, top]], atol=1e-4)


def test_landmarks_in_one_point_do_not_crash() -> None:
    assert np.isfinite(similarity(np.zeros((5, 2), np.float32), REFERENCE)).all()


def photo_of(points: np.ndarray, size: int) -> np.ndarray:
    """Paint soft dots at the points, so that their middles can be measured."""
    rows, columns = np.mgrid[:size, :size]
    spread = np.linalg.norm(points[0] - points[1]) / 8
    dots = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2)) for x, y in points)
    return np.repeat((255 * np.clip(dots, 0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def middle(chip: np.ndarray, near: np.ndarray) -> np.ndarray:
    x, y = (int(value) for value in near)
    patch = chip[max(y - 7, 0) : y + 8, max(x - 7, 0) : x + 8, 0].astype(float) ** 2
    rows, columns = np.mgrid[
        max(y - 7, 0) : max(y - 7, 0) + patch.shape[0], max(x - 7, 0) : max(x - 7, 0) + patch.shape[1]
    ]
    return np.array([(columns * patch).sum(), (rows * patch).sum()]) / patch.sum()


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.3, 4.1, 9.7])
@pytest.mark.parametrize("angle", [0.0, 0.4, 1.6])
def test_landmarks_land_on_the_reference_at_any_scale_and_turn(scale: float, angle: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = int(180 * scale)
    landmarks = ((REFERENCE - 56) @ turn.T + size / 2).astype(np.float32)
    (chip,) = cut_chips(photo_of(landmarks, size), landmarks, REFERENCE, 112, [ChipView()])
    for point in REFERENCE[[0, 1, 2]]:
        assert middle(chip, point) == pytest.approx(point, abs=0.35)


def test_views_are_mirrored_zoomed_and_shifted() -> None:
    landmarks = REFERENCE * 2 + 40
    image = photo_of(landmarks, 320)
    plain, mirrored, nearer, shifted = cut_chips(
        image,
        landmarks,
        REFERENCE,
        112,
        [ChipView(), ChipView(mirrored=True), ChipView(zoom=1.2), ChipView(shift=(0.1, -0.05))],
    )
    assert np.abs(mirrored[:, ::-1].astype(int) - plain).max() <= 2
    assert middle(nearer, (REFERENCE[2] - 55.5) * 1.2 + 55.5) == pytest.approx(
        (REFERENCE[2] - 55.5) * 1.2 + 55.5, abs=0.35
    )
    assert middle(shifted, REFERENCE[2] + (11, -6)) == pytest.approx(REFERENCE[2] + (11.2, -5.6), abs=0.35)


def test_beyond_the_photo_is_black() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    (chip,) = cut_chips(image, REFERENCE - 60, REFERENCE, 112, [ChipView()])
    assert chip[0, 0].tolist() == [0, 0, 0] or chip[-1, -1].tolist() == [0, 0, 0]
    (far,) = cut_chips(image, REFERENCE * 40 + 9000, REFERENCE, 112, [ChipView()])
    assert not far.any()


def test_a_large_face_is_averaged_not_skipped() -> None:
    landmarks = REFERENCE * 8
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    (chip,) = cut_chips(noise, landmarks, REFERENCE, 112, [ChipView()])
    skipped = cv2.warpAffine(noise, similarity(landmarks, REFERENCE), (112, 112))
    assert chip[5:-5, 5:-5].std() < 0.4 * skipped[5:-5, 5:-5].std()
