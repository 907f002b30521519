import math

import numpy as np
import pytest

from likeness.engine.base import Box, Detection
from likeness.engine.quality.published_measures import luminance_measures, single_face_measure


def face(side: float) -> Detection:
    return Detection(Box(0, 0, side, side), np.zeros((5, 2), np.float32), 1.0)


@pytest.mark.parametrize(
    ("grey", "mean", "scalar"),
    [(0, 0.0, 2), (124, 0.2, 50), (188, 0.502, 99), (231, 0.8, 50), (255, 1.0, 2)],
)
def test_the_mean_is_that_of_linear_light_and_its_scalar_as_published(grey: int, mean: float, scalar: int) -> None:
    measured, variance = luminance_measures(np.full((8, 8, 3), grey, np.uint8))
    assert measured.raw == pytest.approx(mean, abs=0.005)
    assert measured.scalar == pytest.approx(scalar, abs=2)
    assert (variance.raw, variance.scalar) == (0, 0)


def test_the_luminance_weighs_the_colours_of_linear_light() -> None:
    for channel, weight in enumerate((0.2126, 0.7152, 0.0722)):
        crop = np.zeros((4, 4, 3), np.uint8)
        crop[:, :, channel] = 255
        assert luminance_measures(crop)[0].raw == pytest.approx(weight, abs=0.003)


def test_the_variance_is_best_at_one_sixtieth() -> None:
    crop = np.zeros((4, 4, 3), np.uint8)
    for bright, variance in ((255, 0.25), (137, (0.25**2) / 4)):
        crop[:2] = bright
        measured = luminance_measures(crop)[1]
        assert measured.raw == pytest.approx(variance, abs=0.003)
        expected = 100 * math.sin(60 * variance / (60 * variance + 1) * math.pi)
        assert measured.scalar == pytest.approx(expected, abs=2)
    assert measured.scalar > 95


@pytest.mark.parametrize(
    ("sides", "raw", "scalar"), [([], 1, 0), ([50], 0, 100), ([50, 100], 0.5, 50), ([80, 80, 20], 1, 0)]
)
def test_the_largest_face_should_be_alone(sides: list[float], raw: float, scalar: int) -> None:
    measured = single_face_measure([face(side) for side in sides])
    assert (measured.name, measured.raw, measured.scalar) == ("SingleFacePresent", raw, scalar)
