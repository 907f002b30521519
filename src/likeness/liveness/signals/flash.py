"""The flash signal: the skin reflects the screen's colours in their sequence, and more than the background does."""

from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.signals.light_response import Response
from likeness.liveness.thresholds import Signals


def judge(response: Response | None, limits: Signals) -> SignalResult:
    """Judge the flash signal. The score is the correlation of the shown colours and the skin's light.

    It is 0 for a weak response. A replayed session responds to other colours. A display and an injected still hardly
    respond. A picture that is tinted as a whole has the same response as its background, and the difference is zero.
    """
    threshold = limits.flash_correlation
    if response is None:
        return SignalResult(
            SignalName.FLASH,
            0.0,
            threshold,
            passed=False,
            reason="the frames in the colours showed too little of the face, or of the room around it",
        )
    if response.response < limits.flash_response:
        score, reason = 0.0, "the face hardly reflected the screen's colours"
    elif response.correlation < threshold:
        score, reason = response.correlation, "the face did not follow the screen's colours"
    else:
        score, reason = response.correlation, "the face followed the screen's colours"
    score = min(max(score, 0.0), 1.0)
    return SignalResult(SignalName.FLASH, score, threshold, passed=score >= threshold, reason=reason)
