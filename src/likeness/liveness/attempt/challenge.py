"""The challenge signal: the person did every step, in order, in time, and as a person does it."""

from likeness.liveness.attempt.evidence import Evidence
from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.thresholds import Gestures


def judge(evidence: Evidence, steps: int, limits: Gestures) -> SignalResult:
    """Judge the challenge. The score is the fraction of the steps that were done, or 0 if one was done impossibly."""
    fraction = evidence.steps_done / steps
    faults = list(evidence.faults)
    if evidence.mistakes > limits.mistakes:
        faults.append("gestures went to the wrong side")
    if faults:
        score, reason = 0.0, "; ".join(faults)
    elif fraction < 1:
        score, reason = fraction, f"{evidence.steps_done} of {steps} steps were done in time"
    else:
        score, reason = 1.0, f"all {steps} steps were done in time"
    return SignalResult(SignalName.CHALLENGE, score, 1.0, passed=score >= 1, reason=reason)
