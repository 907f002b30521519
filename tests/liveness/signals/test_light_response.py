import numpy as np

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
