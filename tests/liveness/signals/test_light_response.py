from dataclasses import replace

import numpy as np
import pytest

from likeness.liveness.signals.light_response import LightSample, respond
from liveness.screen_light import EVEN, LIMITS, film, timeline


def test_no_background_or_too_few_frames_say_nothing() -> None:
    shown = timeline(1)
    samples = film(shown, EVEN)
    hidden = [LightSample(one.at_seconds, one.places, one.surroundings, np.zeros_like(one.beside)) for one in samples]
    assert respond(hidden, shown, LIMITS.flash_lag_seconds) is None
    assert respond(samples[:10], shown, LIMITS.flash_lag_seconds) is None
    assert respond([], shown, LIMITS.flash_lag_seconds) is None


def test_frames_that_change_shape_say_nothing() -> None:
    shown = timeline(1)
    samples = film(shown, EVEN)
    turned = LightSample(99.0, samples[0].places, samples[0].surroundings.transpose(1, 0, 2), samples[0].beside.T)
    assert respond([*samples, turned], shown, LIMITS.flash_lag_seconds) is None


def test_a_dark_room_shows_the_drift_of_the_camera() -> None:
    shown = timeline(1)
    dark = [replace(one, surroundings=one.surroundings // 8) for one in film(shown, EVEN, face=0.1)]
    response = respond(dark, shown, LIMITS.flash_lag_seconds)
    assert response is not None
    assert response.correlation > 0.9


def moving(samples: list[LightSample], *, pixels: int) -> list[LightSample]:
    """Move the room of each frame sideways, by a number of pixels more than in the frame before."""
    wide = np.kron(np.random.default_rng(5).integers(40, 200, (6, 16, 3)), np.ones((10, 10, 1)))
    still = samples[0].surroundings.astype(float)
    return [
        replace(
            one,
            surroundings=np.clip(
                np.roll(wide, pixels * number, axis=1)[:, :80] * (one.surroundings / still), 0, 255
            ).astype(np.uint8),
        )
        for number, one in enumerate(samples)
    ]


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_a_room_that_moves_hides_no_response(pixels: int) -> None:
    shown = timeline(1)
    response = respond(moving(film(shown, EVEN), pixels=pixels), shown, LIMITS.flash_lag_seconds)
    assert response is not None
    assert response.correlation > 0.9
    assert response.response == pytest.approx(0.29, abs=0.06)


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_a_room_that_moves_hides_no_tint_of_the_whole_picture(pixels: int) -> None:
    shown = timeline(1)
    response = respond(moving(film(shown, EVEN, wall=0.3), pixels=pixels), shown, LIMITS.flash_lag_seconds)
    assert response is not None
    assert response.response < LIMITS.flash_response
