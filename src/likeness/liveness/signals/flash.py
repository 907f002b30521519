"""The screen's colours come back from the skin, in step and beyond what the background gives back."""

from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.signals.light_response import Response
from likeness.liveness.thresholds import Signals


def judge(response: Response | None, limits: Signals) -> SignalResult:
    """Score: correlation of the colours shown with the skin's answer; a weak answer counts as none.

    A replayed session answers other colours, a display and a still injected into the stream hardly any, and a picture
    that answers as a whole cancels out against its own background.
    """
    threshold = limits.flash_correlation
    if response is None:
        return SignalResult(
            SignalName.FLASH,
            0.0,
            threshold,
            passed=False,
            reason="too little was seen of the face in the colours, or of the room around it",
        )
    if response.response < limits.flash_response:
        score, reason = 0.0, "the face hardly answered the screen's colours"
    elif response.correlation < threshold:
        score, reason = response.correlation, "the face did not answer the colours in step"
    else:
        score, reason = response.correlation, "the face answered the colours in step"
    score = min(max(score, 0.0), 1.0)
    return SignalResult(SignalName.FLASH, score, threshold, passed=score >= threshold, reason=reason)
