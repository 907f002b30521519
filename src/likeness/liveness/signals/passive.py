"""The passive signal: the scores of the PAD models on single frames, fused over the attempt."""

import numpy as np

from likeness.engine.base import LiveScores
from likeness.liveness.base import SignalName, SignalResult


def judge(scores: list[LiveScores], threshold: float, *, required: bool) -> SignalResult | None:
    """Judge the passive signal. The score is the mean over models of the median over frames.

    A single unusual frame hardly changes it. Without a model, return None if the signal is not required; otherwise it
    fails.
    """
    models = sorted({model for frame in scores for model in frame.by_model})
    if not models:
        reason = "no passive model is installed"
        return SignalResult(SignalName.PASSIVE, 0.0, threshold, passed=False, reason=reason) if required else None
    medians = [
        float(np.median([frame.by_model[model] for frame in scores if model in frame.by_model])) for model in models
    ]
    score = float(np.mean(medians))
    passed = score >= threshold
    reason = f"{len(models)} passive model(s) over {len(scores)} frames " + (
        "see a live face" if passed else "see an attack"
    )
    return SignalResult(SignalName.PASSIVE, score, threshold, passed=passed, reason=reason, required=required)
