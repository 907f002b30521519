import pytest

from likeness.liveness.signals import flash
from liveness.screen_light import LAG, LIMITS, answer, timeline


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


def test_nothing_to_judge_fails() -> None:
    assert not flash.judge(None, LIMITS).passed
