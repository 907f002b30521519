"""One person from the first key frame to the last."""

import numpy as np

from likeness.engine.base import Template
from likeness.liveness.base import SignalName, SignalResult


def judge(templates: list[Template], threshold: float) -> SignalResult:
    """Score: the lowest score of any two key frames. ``threshold``: the pack's for the level that they must reach."""
    threshold = round(threshold, 4)
    if len(templates) < 2:
        return SignalResult(SignalName.IDENTITY, 0.0, threshold, passed=False, reason="the face was seen too seldom")
    rows = np.stack(templates)
    lowest = float((rows @ rows.T).min())
    passed = lowest >= threshold
    reason = "one person throughout" if passed else "the face changed"
    return SignalResult(SignalName.IDENTITY, lowest, threshold, passed=passed, reason=reason)
