from typing import Any

import pytest

from likeness.liveness.attempt import challenge
from likeness.liveness.attempt.evidence import Evidence
from likeness.liveness.base import DeclaredCamera
from likeness.liveness.signals.injection import InjectionWatch
from likeness.liveness.thresholds import THRESHOLDS


def evidence(**facts: Any) -> Evidence:
    return Evidence(InjectionWatch(DeclaredCamera()), **facts)


@pytest.mark.parametrize(
    ("facts", "passed", "score"),
    [
        ({"steps_done": 3}, True, 1.0),
        ({"steps_done": 2}, False, 2 / 3),
        ({"steps_done": 3, "mistakes": 1}, True, 1.0),
        ({"steps_done": 3, "mistakes": 2}, False, 0.0),
        ({"steps_done": 3, "faults": ["the head moved before it was asked to"]}, False, 0.0),
    ],
)
def test_the_challenge_must_be_answered_in_full(
    facts: dict[str, int | list[str]] | dict[str, int], passed: bool, score: float
) -> None:
    result = challenge.judge(evidence(**facts), 3, THRESHOLDS.gestures)
    assert result.passed == passed
    assert result.score == pytest.approx(score)
