import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.engine.fake import FakeEngine
from likeness.engine.levels import NEVER, TARGET_FMR, Calibration
from likeness.gallery.decision import Rule, decide, decide_by_fpir, decide_by_level, expected_fpir
from likeness.tenants.schemas import TenantSettings

CALIBRATION = Calibration((0.2, 0.31, 0.4, 0.48, 0.55), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), "made up", 1, 1)
FOUR_LEVELS = Calibration((0.2, 0.31, 0.4, 0.48, NEVER), (1e-2, 1e-3, 1e-4, 1e-5, 0.0), "too few people", 1, 1)
sizes = st.integers(1, 10**8)
targets = st.floats(1e-6, 0.5)


def test_by_level_the_threshold_is_the_levels_and_the_chance_grows_with_the_gallery() -> None:
    for level in range(1, 6):
        small, large = (decide_by_level(CALIBRATION, level, size=size) for size in (1, 100_000))
        assert small.threshold == large.threshold == CALIBRATION.threshold(level)
        assert small.false_match_rate == small.expected_fpir == pytest.approx(TARGET_FMR[level - 1])
        assert large.expected_fpir > small.expected_fpir
        assert (small.rule, small.level, small.extrapolated) == (Rule.LEVEL, level, False)
    assert decide_by_level(CALIBRATION, 4, size=100_000).expected_fpir == pytest.approx(1 - math.exp(-1), rel=1e-4)
    assert decide_by_level(CALIBRATION, 4, size=0).expected_fpir == 0


@given(targets, sizes)
def test_by_target_the_chance_is_the_target_whatever_the_size(target: float, size: int) -> None:
    decision = decide_by_fpir(CALIBRATION, target, size=size)
    assert decision.expected_fpir <= target * (1 + 1e-9)
    if decision.false_match_rate < CALIBRATION.measured_fmr[0]:
        assert decision.expected_fpir == pytest.approx(target)
    assert decision.threshold >= CALIBRATION.thresholds[0]
    assert decision.level == CALIBRATION.level(decision.threshold)
    assert decision.extrapolated is (decision.false_match_rate < 1e-6)


@given(targets, sizes, st.floats(1.01, 100))
def test_a_larger_gallery_and_a_stricter_target_never_ask_for_less(target: float, size: int, factor: float) -> None:
    decision = decide_by_fpir(CALIBRATION, target, size=size)
    assert decide_by_fpir(CALIBRATION, target, size=int(size * factor)).threshold >= decision.threshold
    assert decide_by_fpir(CALIBRATION, target / factor, size=size).threshold >= decision.threshold


@pytest.mark.parametrize(("rate", "threshold"), [*zip(TARGET_FMR, CALIBRATION.thresholds, strict=True)])
def test_at_a_calibrated_rate_the_threshold_is_the_calibrated_one(rate: float, threshold: float) -> None:
    assert decide_by_fpir(CALIBRATION, rate, size=1).threshold == pytest.approx(threshold)


def test_between_calibrated_rates_the_logarithm_is_interpolated() -> None:
    halfway = decide_by_fpir(CALIBRATION, 10**-3.5, size=1)
    assert halfway.threshold == pytest.approx((0.31 + 0.40) / 2)
    assert halfway.level == 2


def test_past_the_calibrated_rates_the_last_segment_goes_on_and_says_so() -> None:
    decision = decide_by_fpir(CALIBRATION, 1e-2, size=1_000_000)
    assert decision.false_match_rate == pytest.approx(1e-8, rel=0.01)
    assert decision.threshold == pytest.approx(0.55 + 2 * (0.55 - 0.48), abs=1e-3)
    assert decision.extrapolated


def test_a_rate_that_was_too_small_to_measure_counts_as_its_target() -> None:
    unmeasured = Calibration(CALIBRATION.thresholds, (1e-2, 1e-3, 1e-4, 1e-5, 0.0), "few pairs", 1, 1)
    for size in (1, 1000, 10**7):
        assert decide_by_fpir(unmeasured, 1e-3, size=size) == decide_by_fpir(CALIBRATION, 1e-3, size=size)


def test_equal_rates_do_not_divide_by_nothing() -> None:
    flat = Calibration((0.2, 0.3, 0.4, 0.5, 0.6), (1e-2, 1e-3, 1e-4, 1e-4, 1e-4), "flat", 1, 1)
    assert 0.6 < decide_by_fpir(flat, 1e-5, size=1).threshold < 1


@pytest.mark.parametrize(
    ("settings", "level", "rule", "expected"),
    [
        (TenantSettings(), None, Rule.LEVEL, 4),
        (TenantSettings(search_level=2), None, Rule.LEVEL, 2),
        (TenantSettings(search_level=2), 5, Rule.LEVEL, 5),
        (TenantSettings(search_level=2, target_fpir=1e-4), None, Rule.TARGET_FPIR, 3),
        (TenantSettings(target_fpir=1e-4), 1, Rule.LEVEL, 1),
    ],
)
def test_the_call_decides_before_the_tenant_and_a_target_before_a_level(
    settings: TenantSettings, level: int | None, rule: Rule, expected: int
) -> None:
    decision = decide(CALIBRATION, settings, level=level, size=1)
    assert (decision.rule, decision.level) == (rule, expected)


def test_the_chance_is_that_of_so_many_throws() -> None:
    assert expected_fpir(0.0, 100) == 0
    assert expected_fpir(1.0, 0) == 0
    assert expected_fpir(1.0, 1) == 1
    assert expected_fpir(0.5, 2) == pytest.approx(0.75)
    assert expected_fpir(1e-18, 10) == pytest.approx(1e-17)


def test_what_the_model_promises_is_what_happens_to_independent_scores() -> None:
    """Draw strangers' scores from a known distribution. The calibration has the tail of this distribution."""
    rng = np.random.default_rng(5)

    def threshold(rate: float) -> float:
        return -math.log(rate) / 20  # an exponential tail: the logarithm of the rate falls evenly

    exponential = Calibration(tuple(map(threshold, TARGET_FMR)), TARGET_FMR, "exponential", 1, 1)  # type: ignore[arg-type]
    decision = decide_by_fpir(exponential, 0.05, size=1000)
    found = (rng.exponential(1 / 20, (4000, 1000)).max(1) >= decision.threshold).mean()
    assert found == pytest.approx(0.05, abs=0.012)


def test_the_fake_engines_calibration_serves() -> None:
    assert decide_by_fpir(FakeEngine.calibration, 0.01, size=1000).threshold == pytest.approx(0.7, abs=0.001)


def test_a_level_that_is_not_given_finds_nobody_and_bends_no_threshold() -> None:
    assert decide_by_level(FOUR_LEVELS, 5, size=100).threshold > 1
    assert FOUR_LEVELS.level(1.0) == 4
    for size in (10, 1000):
        assert decide_by_fpir(FOUR_LEVELS, 0.05, size=size).threshold == pytest.approx(
            decide_by_fpir(CALIBRATION, 0.05, size=size).threshold
        )
    past = decide_by_fpir(FOUR_LEVELS, 0.001, size=10_000)
    assert past.extrapolated
    assert 0.48 < past.threshold < 1
