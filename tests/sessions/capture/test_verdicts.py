"""What a verdict means for the person, for the backend and for support."""

import numpy as np
import pytest

from likeness.engine.base import Box, Detection, Quality
from likeness.liveness.base import KeyFrame, SignalName, SignalResult, StatusCode, Verdict
from likeness.results.claims import AuditFrame
from likeness.sessions.capture.verdicts import Advice, advise, failure_of, for_support, judged
from likeness.sessions.decision import ReferenceComparison
from likeness.sessions.states import AttemptFailure

IMAGE = np.zeros((8, 8, 3), np.uint8)
FACE = Detection(Box(0, 0, 8, 8), np.zeros((5, 2), np.float32), 0.9)


def signal(name: SignalName, score: float, threshold: float = 0.5, *codes: str) -> SignalResult:
    return SignalResult(name, score, threshold, score >= threshold, "because", codes=codes)


def verdict(*signals: SignalResult, status: StatusCode | None = None) -> Verdict:
    live = all(each.passed for each in signals)
    ended = status or (StatusCode.FACE_LIVENESS_PASSED if live else StatusCode.FACE_LIVENESS_FAILED)
    return Verdict(live, ended, "active", True, signals, "built-in")


def best(*reasons: str) -> KeyFrame:
    template = np.zeros(4, np.float32)
    return KeyFrame(IMAGE, FACE, template, Quality(50, reasons=reasons), 1.0, 0, lit_by_flash=False)


def compared(*, match: bool) -> ReferenceComparison:
    return ReferenceComparison(match, 3 if match else 0, 1e-4, AuditFrame(IMAGE, FACE))


LIVE = verdict(signal(SignalName.FLASH, 0.9))


@pytest.mark.parametrize(
    ("given", "frame", "match", "failure"),
    [
        (LIVE, best(), True, None),
        (LIVE, best("Sharpness"), True, None),
        (LIVE, best(), False, AttemptFailure.NO_MATCH),
        (LIVE, best("Sharpness"), False, AttemptFailure.PICTURE),
        (verdict(signal(SignalName.FLASH, 0.1)), best("Sharpness"), False, AttemptFailure.LIVENESS),
        (verdict(signal(SignalName.FLASH, 0.1)), best(), True, AttemptFailure.LIVENESS),
        (verdict(signal(SignalName.FLASH, 0.1), status=StatusCode.FACE_TIMEOUT), best(), True, AttemptFailure.TIMEOUT),
        (verdict(signal(SignalName.FLASH, 0.1), status=StatusCode.FACE_TIMEOUT), None, False, AttemptFailure.TIMEOUT),
    ],
)
def test_a_poor_picture_is_not_taken_for_an_attack(
    given: Verdict, frame: KeyFrame | None, match: bool, failure: AttemptFailure | None
) -> None:
    assert failure_of(given, frame, compared(match=match) if frame else None) is failure


@pytest.mark.parametrize(
    ("signals", "uncertain"),
    [
        ([signal(SignalName.FLASH, 0.46)], True),
        ([signal(SignalName.FLASH, 0.44)], False),
        ([signal(SignalName.FLASH, 0.46), signal(SignalName.SHADING, 0.1)], False),
        ([signal(SignalName.FLASH, 0.46), signal(SignalName.INJECTION, 0.0, 1.0)], False),
        ([signal(SignalName.IDENTITY, 0.49)], False),
        ([signal(SignalName.FLASH, 0.9)], False),
    ],
)
def test_only_a_close_failure_is_uncertain(signals: list[SignalResult], *, uncertain: bool) -> None:
    assert judged(verdict(*signals), best(), 0.1)["uncertain"] is uncertain
    assert judged(verdict(*signals), best(), None)["uncertain"] is False
    timed_out = verdict(*signals, status=StatusCode.FACE_TIMEOUT)
    assert judged(timed_out, best(), 0.1)["uncertain"] is False


def test_the_result_says_whether_the_picture_can_serve() -> None:
    assert judged(LIVE, best(), None)["picture"] == {"usable": True, "reasons": []}
    assert judged(LIVE, best("Sharpness"), None)["picture"] == {"usable": False, "reasons": ["Sharpness"]}
    assert judged(LIVE, None, None)["picture"]["usable"] is False


@pytest.mark.parametrize(
    ("signals", "advice"),
    [
        ([signal(SignalName.CHALLENGE, 0.2, 1.0)], Advice.FOLLOW_STEPS),
        ([signal(SignalName.FLASH, 0.2)], Advice.DIMMER_ROOM),
        ([signal(SignalName.INJECTION, 0.0, 1.0, "VIRTUAL_CAMERA")], Advice.ORDINARY_CAMERA),
        ([signal(SignalName.INJECTION, 0.0, 1.0, "UNSIGNED_FRAMES")], None),
        ([signal(SignalName.IDENTITY, 0.2)], None),
    ],
)
def test_the_person_learns_what_to_do_and_no_signal(signals: list[SignalResult], advice: Advice | None) -> None:
    assert advise(verdict(*signals)) is advice
    assert not advice or not any(name.upper() in advice for name in SignalName)


def test_support_learns_which_signals_failed_but_no_score() -> None:
    failed = verdict(signal(SignalName.FLASH, 0.2), signal(SignalName.INJECTION, 0.0, 1.0, "VIRTUAL_CAMERA"))
    assert for_support(failed) == "flash, injection VIRTUAL_CAMERA"
    assert for_support(LIVE) == "none"
