import numpy as np
import pytest

from likeness.engine.photo.resampling import shrink, warp

NOISE = np.random.default_rng(0).integers(0, 256, (203, 301, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [1.0, 0.9, 0.5, 0.37, 0.25, 0.11, 0.01, 0.0001])
def test_sizes(scale: float) -> None:
    small = shrink(NOISE, scale)
    assert small.shape == (max(round(203 * scale), 1), max(round(301 * scale), 1), 3)
    assert abs(float(small.mean()) - float(NOISE.mean())) < 60


def test_full_size_is_the_photo_itself() -> None:
    assert shrink(NOISE, 1.0) is NOISE


def test_halving_averages() -> None:
    assert (
        np.abs(
            shrink(NOISE[:200, :300], 0.5).astype(float)
            - NOISE[:200, :300].reshape(100, 2, 150, 2, 3).mean(axis=(1, 3))
        ).max()
        <= 1
    )


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_warping_down_by_a_power_of_two_averages_squares(factor: int) -> None:
    image = np.repeat(np.repeat(NOISE[:24, :24], factor, axis=0), factor, axis=1)
    target = np.empty((24, 24, 3), np.uint8)
    warp(image, np.array([[1 / factor, 0, 0.5 / factor - 0.5], [0, 1 / factor, 0.5 / factor - 0.5]]), target)
    assert np.abs(target[1:-1, 1:-1].astype(int) - NOISE[1:23, 1:23]).max() <= 1


def test_border() -> None:
    target = np.empty((8, 8, 3), np.uint8)
    warp(NOISE, np.array([[1.0, 0, 500], [0, 1.0, 500]]), target, border=(1, 2, 3))
    assert (target == (1, 2, 3)).all()
    warp(NOISE, np.array([[0.01, 0, 500], [0, 0.01, 500]]), target, border=(1, 2, 3))
    assert (target == (1, 2, 3)).all()
