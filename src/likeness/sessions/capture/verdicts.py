"""What a verdict means for the person, for the caller's backend and for support."""

from enum import StrEnum
from typing import Any

from likeness.liveness.base import KeyFrame, SignalName, StatusCode, Verdict
from likeness.liveness.signals.hints.base import InjectionHint
from likeness.sessions.attestation.base import Attestation
from likeness.sessions.decision import ReferenceComparison
from likeness.sessions.states import AttemptFailure


class Advice(StrEnum):
    """What the person may do better. It names no signal, because an attacker reads it, too."""

    FOLLOW_STEPS = "FOLLOW_STEPS"
    DIMMER_ROOM = "DIMMER_ROOM"
    ORDINARY_CAMERA = "ORDINARY_CAMERA"


_CAMERA_HINTS = {InjectionHint.VIRTUAL_CAMERA, InjectionHint.NOT_A_CAMERA, InjectionHint.CAMERA_CALL_REPLACED}


def advise(verdict: Verdict) -> Advice | None:
    """Give the advice after an attempt that was not live, or None where the failure's own text is the best."""
    codes = {code for signal in verdict.signals for code in signal.codes}
    if codes & {hint.value for hint in _CAMERA_HINTS}:
        return Advice.ORDINARY_CAMERA
    if SignalName.CHALLENGE in verdict.failed:
        return Advice.FOLLOW_STEPS
    return Advice.DIMMER_ROOM if set(verdict.failed) & {SignalName.FLASH, SignalName.SHADING} else None


def judged(
    verdict: Verdict, best: KeyFrame | None, review_margin: float | None, attestation: Attestation | None = None
) -> dict[str, Any]:
    """Give the ``liveness`` member of the result.

    ``picture`` says whether the best frame can serve as a reference, apart from whether the person is live.
    ``attestation`` is there only where this server verifies attestations.
    """
    reasons = list(best.quality.reasons) if best else ["no frame shows the face well"]
    return verdict.as_json() | {
        "uncertain": review_margin is not None and verdict.is_near(review_margin),
        "picture": {"usable": not reasons, "reasons": reasons},
        **({"attestation": attestation.as_json()} if attestation else {}),
    }


def failure_of(verdict: Verdict, best: KeyFrame | None, decision: ReferenceComparison | None) -> AttemptFailure | None:
    """Give why an attempt failed, or None for one that did not."""
    if verdict.status_code is StatusCode.FACE_TIMEOUT:
        return AttemptFailure.TIMEOUT
    if not verdict.live or best is None or decision is None:
        return AttemptFailure.LIVENESS
    if decision.match:
        return None
    return AttemptFailure.PICTURE if best.quality.reasons else AttemptFailure.NO_MATCH


def for_support(verdict: Verdict) -> str:
    """Name the signals that failed, with their codes. A line of the log has it, without scores."""
    return ", ".join(" ".join((signal.name, *signal.codes)) for signal in verdict.failures) or "none"
