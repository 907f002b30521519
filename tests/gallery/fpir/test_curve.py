import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from likeness.engine.levels import NEVER, Calibration
from likeness.gallery.fpir.curve import MeasuredOn, RateCurve, RatePoint

CALIBRATION = Calibration((0.2, 0.3, 0.4, 0.5, 0.6), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), "made up", 1, 1)
CURVE = RateCurve.of(CALIBRATION)
rates = st.floats(1e-9, 0.5)


@given(rates)
def test_the_rate_at_the_threshold_for_a_rate_is_that_rate(rate: float) -> None:
    for curve in (CURVE, CURVE.joined((RatePoint(5e-3, 0.3), RatePoint(2e-4, 0.42)))):
        threshold = curve.threshold_for(rate)
        assert curve.rate_at(threshold) == pytest.approx(rate)


def test_a_level_without_a_threshold_has_no_rate() -> None:
    four = Calibration((0.2, 0.3, 0.4, 0.5, NEVER), (1e-2, 1e-3, 1e-4, 0.0, 0.0), "few", 1, 1)
    curve = RateCurve.of(four)
    assert curve.rate_at(NEVER) == 0
    assert curve.rate_at(0.5) == pytest.approx(1e-5)  # the target, because nothing was measured
    one = RateCurve.of(Calibration((0.2, NEVER, NEVER, NEVER, NEVER), (1e-2, 0, 0, 0, 0), "fewer", 1, 1))
    assert one.threshold_for(1e-3) == 0.2
    assert one.rate_at(0.4) == pytest.approx(1e-2)


def test_rates_of_a_gallery_replace_those_of_the_calibration_and_scale_the_rest() -> None:
    shown = CURVE.joined((RatePoint(4e-3, 0.3), RatePoint(8e-4, 0.4)))
    assert shown.measured_on is MeasuredOn.GALLERY
    assert shown.lowest_measured == 8e-4
    assert shown.rate_at(0.35) == pytest.approx(math.sqrt(4e-3 * 8e-4))
    assert shown.rate_at(0.2) == pytest.approx(4e-2)  # four times the calibration's, as at .3
    assert shown.rate_at(0.6) == pytest.approx(8e-6)  # eight times, as at .4
    assert shown.rate_at(-1) == 1


@given(st.lists(st.tuples(st.floats(1e-6, 0.9), st.floats(0.05, 0.7)), min_size=1, max_size=8, unique=True))
def test_a_higher_threshold_never_has_a_higher_rate(found: list[tuple[float, float]]) -> None:
    falling, rising = sorted({rate for rate, _ in found}, reverse=True), sorted({at for _, at in found})
    assume(len(falling) == len(rising))
    curve = CURVE.joined(tuple(RatePoint(*pair) for pair in zip(falling, rising, strict=True)))
    shown = [curve.rate_at(step / 100) for step in range(101)]
    assert shown == sorted(shown, reverse=True)
