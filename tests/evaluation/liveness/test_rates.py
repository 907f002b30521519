import pytest

from likeness.evaluation.liveness.rates import PresentationOutcome, tally
from likeness.evaluation.recognition.rates import wilson

FOOLED, CAUGHT, SILENT = (
    PresentationOutcome(accepted=True, responded=True),
    PresentationOutcome(accepted=False, responded=True, failed=("flash",)),
    PresentationOutcome(accepted=False, responded=False),
)


def test_errors_are_shares_of_the_presentations_that_were_answered() -> None:
    attack = tally("screen", [FOOLED, CAUGHT, CAUGHT, CAUGHT, SILENT], bona_fide=False)
    assert (attack.error, attack.non_response) == (1 / 4, 1 / 5)
    assert attack.interval == pytest.approx(wilson(1 / 4, 4))
    live = tally("live", [FOOLED, FOOLED, CAUGHT, SILENT], bona_fide=True)
    assert live.error == 1 / 3
    assert live.failed == (("flash", 1),)


def test_no_answer_at_all_is_no_error() -> None:
    nobody = tally("live", [SILENT, SILENT], bona_fide=True)
    assert (nobody.error, nobody.non_response) == (0, 1)
    assert nobody.as_json()["interval95"] == [0, 1]
