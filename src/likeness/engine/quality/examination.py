"""Everything that can be measured of one photo's quality, refusing nothing.

What an operator looks at, not what a request waits for.
"""

from dataclasses import dataclass, replace

from likeness.engine.base import Engine, Quality, QualityMeasure, Use
from likeness.engine.landmarks import LandmarkEstimator
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.landmark_measures import landmark_measures

_PRESENT = 0.5
"""The probability of a face below which its landmarks say nothing."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The quality of the one face of a photo; distances are in pixels of the photo."""

    quality: Quality
    """What the service goes by, with the reasons for which it would refuse the photo."""
    landmark_measures: tuple[QualityMeasure, ...] = ()
    """What the landmarks of the whole face say; empty without their model, and where that sees no face."""
    presence: float | None = None
    """The probability, by that model, that this is a face; None without it."""


def examine(
    engine: Engine,
    estimator: LandmarkEstimator | None,
    photo: bytes,
    *,
    use: Use,
    policy: FacePolicy = FacePolicy.LARGEST,
) -> Examination:
    """Measure a photo. Raises what :meth:`Engine.locate` raises."""
    subject = engine.locate(photo, policy=policy)
    quality = engine.assess(subject.image, subject.detection, use=use)
    measures = tuple(
        replace(measure, raw=measure.raw * subject.reduction) if measure.name == "InterEyeDistance" else measure
        for measure in quality.measures
    )
    quality = replace(quality, measures=measures)
    if estimator is None:
        return Examination(quality)
    landmarks = estimator.estimate(subject.image, subject.detection).enlarged(subject.reduction)
    seen = landmark_measures(landmarks) if landmarks.presence >= _PRESENT else ()
    return Examination(quality, seen, landmarks.presence)
