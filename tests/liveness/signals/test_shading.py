import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.liveness.frame.observation import LIGHT_SHAPE
from likeness.liveness.signals import shading
from likeness.liveness.signals.light_response import Response
from likeness.liveness.signals.shading import _ALL_X, _ALL_Y, _normals
from liveness.screen_light import EVEN, LIMITS, answer

HEAD = 0.2 + 0.8 * _normals(_ALL_X, _ALL_Y) @ np.array((0.3, 0.2, 0.9))
BENT = 0.4 + 0.6 * np.sqrt(np.clip(1 - (_ALL_X / 1.3) ** 2, 0.05, 1))


def test_a_head_is_shaded() -> None:
    result = shading.judge(answer(places=HEAD), LIMITS)
    assert result.passed


@pytest.mark.parametrize("places", [EVEN, 1 + 0.2 * _ALL_X, BENT], ids=["even", "slanted", "bent"])
def test_a_sheet_is_not(places: NDArray[np.float64]) -> None:
    result = shading.judge(answer(places=places), LIMITS)
    assert not result.passed
    assert result.score < shading.judge(answer(places=HEAD), LIMITS).score / 4


def test_glass_that_mirrors_the_screen_is_not() -> None:
    glint = 0.05 + np.exp(-((_ALL_X - 0.2) ** 2 + (_ALL_Y - 0.3) ** 2) / 0.05)
    response = answer(places=glint)
    assert response
    assert shading.measure_shading(response) > LIMITS.shading_most
    result = shading.judge(response, LIMITS)
    assert (result.passed, result.score) == (False, 0.0)
    assert "glint" in result.reason


def test_noise_is_not_shading() -> None:
    assert not shading.judge(answer(places=EVEN, noise=0.1), LIMITS).passed


def test_a_face_that_darkens_in_the_colours_shows_no_shading() -> None:
    halves = (np.full(LIGHT_SHAPE, -0.1, np.float32),) * 2
    assert shading.measure_shading(Response(0.9, 0.3, 0.1, halves)) == 0.0
    assert not shading.judge(None, LIMITS).passed
