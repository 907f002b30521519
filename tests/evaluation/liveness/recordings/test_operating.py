"""Operating points, and the figures of recordings."""

from itertools import pairwise

import numpy as np
import pytest

from likeness.errors import SetupError
from likeness.evaluation.liveness.rates import PresentationOutcome
from likeness.evaluation.liveness.recordings.measuring import report_of
from likeness.evaluation.liveness.recordings.operating import (
    FEWEST_BONA_FIDE,
    choose_point,
    operating_points,
    signal_curves,
)
from likeness.evaluation.liveness.recordings.recording import BONA_FIDE, Label
from likeness.evaluation.liveness.recordings.replay import ReplayedAttempt

NAMES = ("parallax", "flash", "shading")


def attempt(
    kind: str,
    scores: tuple[float, ...],
    *,
    fixed: tuple[str, ...] = (),
    responded: bool = True,
    simulated: bool = False,
) -> ReplayedAttempt:
    failed = (*fixed, *(name for name, score in zip(NAMES, scores, strict=True) if score < 0.5))
    outcome = PresentationOutcome(not failed, responded, failed, dict(zip(NAMES, scores, strict=True)))
    return ReplayedAttempt("id", Label(kind, simulated=simulated), "active", outcome, same=True, comparable=True)


def drawn(kind: str, count: int, middle: float, seed: int) -> list[ReplayedAttempt]:
    chance = np.random.default_rng(seed)
    return [attempt(kind, tuple(np.clip(chance.normal(middle, 0.15, 3), 0, 1).tolist())) for _ in range(count)]


ATTEMPTS = [*drawn(BONA_FIDE, 60, 0.7, 1), *drawn("print", 40, 0.35, 2), *drawn("screen", 40, 0.55, 3)]


def test_both_errors_change_in_one_direction() -> None:
    points = operating_points(ATTEMPTS)
    assert len(points) == 60
    assert points[0].bpcer.rate == 0
    for mild, strict in pairwise(points):
        assert strict.bpcer.rate >= mild.bpcer.rate
        assert strict.worst <= mild.worst
        assert all(strict.thresholds[name] >= value for name, value in mild.thresholds.items())


def test_a_point_has_the_rates_of_its_thresholds() -> None:
    point = operating_points(ATTEMPTS)[20]
    limits = [point.thresholds[name] for name in ("parallax", "flash_correlation", "shading")]
    for kind, counted in ((BONA_FIDE, 60 - point.bpcer.errors), ("screen", point.apcer["screen"].errors)):
        those = [one for one in ATTEMPTS if one.label.kind == kind]
        passed = [
            one
            for one in those
            if all(one.outcome.scores[name] >= limit for name, limit in zip(NAMES, limits, strict=True))
        ]
        assert len(passed) == counted


def test_the_wanted_rate_chooses_the_point() -> None:
    points = operating_points(ATTEMPTS)
    by_bpcer = choose_point(points, bpcer=0.1)
    assert by_bpcer.bpcer.rate <= 0.1
    assert all(point.bpcer.rate > 0.1 for point in points[points.index(by_bpcer) + 1 :])
    by_apcer = choose_point(points, apcer=0.05)
    assert by_apcer.worst <= 0.05
    assert all(point.worst > 0.05 for point in points[: points.index(by_apcer)])


def test_a_signal_that_does_not_move_counts_at_every_point() -> None:
    refused = [attempt(BONA_FIDE, (0.9, 0.9, 0.9), fixed=("challenge",)) for _ in range(5)]
    points = operating_points([*ATTEMPTS, *refused])
    assert points[0].bpcer.errors == 5
    with pytest.raises(SetupError, match="BPCER"):
        choose_point(points, bpcer=0.01)


def test_too_few_people_choose_nothing() -> None:
    few = [attempt(BONA_FIDE, (0.9, 0.9, 0.9))] * (FEWEST_BONA_FIDE - 1)
    with pytest.raises(SetupError, match="bona fide"):
        operating_points([*few, attempt(BONA_FIDE, (0.9, 0.9, 0.9), responded=False)])


def test_a_curve_runs_from_all_attacks_accepted_to_all_people_refused() -> None:
    for kinds in signal_curves(ATTEMPTS).values():
        for curve in kinds.values():
            assert curve[0][0] == curve[-1][1] == 1
            assert curve[0][1] == curve[-1][0] == 0


def test_simulated_figures_stay_apart() -> None:
    mixed = [*ATTEMPTS, *(attempt("print", (0.1, 0.1, 0.1), simulated=True) for _ in range(7))]
    real = report_of(mixed, simulated=False, bpcer=0.05, apcer=None)
    simulated = report_of(mixed, simulated=True, bpcer=0.05, apcer=None)
    assert (real["recordings"], simulated["recordings"]) == (140, 7)
    assert [row["kind"] for row in real["rates"]] == [BONA_FIDE, "print", "screen"]
    assert real["chosen"]["bpcer"]["rate"] <= 0.05
    assert simulated["chosen"] is None
    assert "150 presentations of print (40)" in "; ".join(real["laboratory"])
