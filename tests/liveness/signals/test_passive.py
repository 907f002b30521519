import pytest

from likeness.engine.base import LiveScores
from likeness.liveness.signals import passive


def test_passive_models_are_fused_over_frames_and_models() -> None:
    scores = [LiveScores({"one": one, "two": 0.8}) for one in (0.9, 0.9, 0.0)]
    result = passive.judge(scores, 0.5, required=False)
    assert result.score == pytest.approx(0.85)
    assert (result.passed, result.required) == (True, False)


def test_a_mode_that_rests_on_passive_models_fails_without_them() -> None:
    assert passive.judge([LiveScores()], 0.5, required=False) is None
    result = passive.judge([LiveScores()], 0.5, required=True)
    assert (result.passed, result.required) == (False, True)
