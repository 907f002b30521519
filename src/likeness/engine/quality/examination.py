"""All quality measures of one photo, for an operator. No request waits for them, and they refuse no photo."""

from dataclasses import dataclass, replace

from likeness.engine.base import Engine, Quality, QualityMeasure, Use
from likeness.engine.landmarks import LandmarkEstimator
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.landmark_measures import landmark_measures
from likeness.engine.quality.measures import cut_crop
from likeness.engine.quality.published_measures import luminance_measures, single_face_measure

_PRESENT = 0.5
"""The least probability of a face at which its landmarks are used."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The quality of a photo's subject. Distances are in pixels of the photo."""

    quality: Quality
    """The measures of the service, with the reasons for which it would refuse the photo."""
    landmark_measures: tuple[QualityMeasure, ...] = ()
    """The measures from the landmarks of the whole face. Empty without their model, or if that model sees no face."""
    published_measures: tuple[QualityMeasure, ...] = ()
    """Measures from pixels and boxes that only this examination takes."""
    presence: float | None = None
    """That model's probability of a face, in [0, 1]; None without the model."""


def examine(
    engine: Engine,
    estimator: LandmarkEstimator | None,
    photo: bytes,
    *,
    use: Use,
    policy: FacePolicy = FacePolicy.LARGEST,
) -> Examination:
    """Measure a photo. Raises the errors of :meth:`Engine.locate`."""
    subject = engine.locate(photo, policy=policy)
    quality = engine.measure(subject.image, subject.detection, use=use)
    measures = tuple(
        replace(measure, raw=measure.raw * subject.reduction) if measure.name == "InterEyeDistance" else measure
        for measure in quality.measures
    )
    quality = replace(quality, measures=measures)
    crop = cut_crop(subject.image, subject.detection.landmarks)
    published = (*luminance_measures(crop), single_face_measure(engine.detect(subject.image)))
    if estimator is None:
        return Examination(quality, published_measures=published)
    landmarks = estimator.estimate(subject.image, subject.detection).enlarged(subject.reduction)
    seen = landmark_measures(landmarks) if landmarks.presence >= _PRESENT else ()
    return Examination(quality, seen, published, landmarks.presence)
