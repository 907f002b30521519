import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.liveness.attempt.script import draw_colours
from likeness.liveness.base import Colour
from likeness.liveness.frame.observation import LIGHT_SHAPE, LINEAR
from likeness.liveness.signals import flash, shading
from likeness.liveness.signals.light_response import LightSample, Response, respond
from likeness.liveness.signals.shading import _ALL_X, _ALL_Y, _normals
from likeness.liveness.thresholds import THRESHOLDS

LIMITS = THRESHOLDS.signals
LAG = 0.21


def timeline(seed: int) -> list[tuple[float, Colour | None]]:
    shown, now = [], 10.0
    for one in draw_colours(random.Random(seed)):
        shown.append((now, one.colour))
        now += one.duration_seconds
    return [*shown, (now, None)]


def light_at(
    shown: list[tuple[float, Colour | None]], seconds: np.float64
) -> NDArray[np.float32] | NDArray[np.float64]:
    colour = next((colour for since, colour in reversed(shown) if since <= seconds), None)
    return np.zeros(3) if colour is None else LINEAR[[colour.red, colour.green, colour.blue]]


def film(
    shown: list[tuple[float, Colour | None]],
    places: NDArray[np.float64],
    *,
    face: float = 0.3,
    wall: float = 0.01,
    seed: int = 0,
    noise: float = 0.01,
    gains: bool = True,
) -> list[LightSample]:
    """Return frames of a face before a wall. Each place has the given response, and the camera's gains drift."""
    chance = np.random.default_rng(seed)
    skin = chance.uniform(0.05, 0.3, (*LIGHT_SHAPE, 3))
    behind = chance.uniform(0.1, 0.4, (60, 80, 3))
    beside = np.zeros((60, 80), bool)
    beside[:, :20] = True
    samples = []
    for seconds in np.arange(10.0, shown[-1][0], 0.1):
        screen = light_at(shown, seconds - LAG)
        gain = np.exp(0.05 * np.sin(seconds + np.arange(3))) if gains else np.ones(3)
        seen = skin * (1 + face * places[..., None] * screen) * gain
        seen = seen * np.exp(chance.normal(0, noise, seen.shape)) * np.exp(0.1 * np.sin(3 * seconds))
        surroundings = behind * (1 + wall * screen) * gain
        samples.append(
            LightSample(float(seconds), np.log(seen), (surroundings ** (1 / 2.2) * 255).astype(np.uint8), beside)
        )
    return samples


EVEN = np.ones(LIGHT_SHAPE)
HEAD = 0.2 + 0.8 * _normals(_ALL_X, _ALL_Y) @ np.array((0.3, 0.2, 0.9))
BENT = 0.4 + 0.6 * np.sqrt(np.clip(1 - (_ALL_X / 1.3) ** 2, 0.05, 1))


def answer(
    *,
    places: NDArray[np.float64] = EVEN,
    seed: int = 1,
    announced: list[tuple[float, Colour | None]] | None = None,
    **how: Any,
) -> Response | None:
    shown = timeline(seed)
    return respond(film(shown, places, **how), announced or shown, LIMITS.flash_lag_seconds)


def test_a_face_that_answers_passes_and_the_lag_is_found() -> None:
    response = answer()
    assert flash.judge(response, LIMITS).passed
    assert response.correlation > 0.95
    assert response.lag_seconds == pytest.approx(LAG, abs=0.05)
    assert response.response == pytest.approx(0.29, abs=0.06)


@pytest.mark.parametrize("other", range(2, 12))
def test_the_answer_to_other_colours_fails(other: int) -> None:
    response = answer(announced=timeline(other))
    assert not flash.judge(response, LIMITS).passed


def test_a_picture_that_answers_as_a_whole_cancels_out() -> None:
    result = flash.judge(answer(face=0.3, wall=0.3), LIMITS)
    assert (result.passed, result.score) == (False, 0.0)


def test_a_display_that_hardly_answers_fails() -> None:
    result = flash.judge(answer(face=0.005), LIMITS)
    assert not result.passed


def test_no_background_or_too_few_frames_say_nothing() -> None:
    shown = timeline(1)
    samples = film(shown, EVEN)
    hidden = [LightSample(one.at_seconds, one.places, one.surroundings, np.zeros_like(one.beside)) for one in samples]
    assert respond(hidden, shown, LIMITS.flash_lag_seconds) is None
    assert respond(samples[:10], shown, LIMITS.flash_lag_seconds) is None
    assert respond([], shown, LIMITS.flash_lag_seconds) is None
    assert not flash.judge(None, LIMITS).passed


def test_frames_that_change_shape_say_nothing() -> None:
    shown = timeline(1)
    samples = film(shown, EVEN)
    turned = LightSample(99.0, samples[0].places, samples[0].surroundings.transpose(1, 0, 2), samples[0].beside.T)
    assert respond([*samples, turned], shown, LIMITS.flash_lag_seconds) is None


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
