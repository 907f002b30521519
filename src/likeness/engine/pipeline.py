"""The engine of a model pack: detector, aligner, recognisers and quality in one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from likeness.engine import photo as photos
from likeness.engine import quality
from likeness.engine.base import Detection, Face, FacePolicy, Image, LiveScores, PackIdentity, Quality, Use
from likeness.engine.detection.search import FaceSearch
from likeness.engine.levels import Calibration
from likeness.engine.recognition import Recogniser, fuse
from likeness.engine.subject import choose_subject
from likeness.errors import LowQuality, SetupError


@dataclass(frozen=True, slots=True, kw_only=True)
class PackEngine:
    """An ``Engine`` on one pack. Thread-safe: every network takes any number of calls side by side."""

    pack: PackIdentity
    search: FaceSearch
    recognisers: tuple[Recogniser, ...]
    stored_calibration: Calibration | None = field(default=None)

    @property
    def calibration(self) -> Calibration:
        """The thresholds of the levels. Raises SetupError for a pack that was never calibrated."""
        if self.stored_calibration is None:
            raise SetupError(
                f"the pack {self.pack.id!r} has no calibration and serves no levels: run "
                f"`likeness calibrate DIR --pack {self.pack.id} --apply` on photos of your own, one folder a person"
            )
        return self.stored_calibration

    def decode(self, photo: bytes) -> Image:
        return photos.decode(photo)

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        image = self.decode(photo)
        size = (image.shape[1], image.shape[0])
        seek = self.search.all_faces if policy is FacePolicy.SINGLE else self.search.subject_and_rivals
        subject = choose_subject(seek(image), size, policy)
        assessed = self.assess(image, subject, use=use)
        if assessed.reasons:
            raise LowQuality(f"The photo is not good enough: {', '.join(assessed.reasons)}.", reasons=assessed.reasons)
        return Face(subject, self.embed(image, [subject])[0], assessed, size)

    def detect(self, image: Image, *, minimum_face_pixels: float | None = None) -> list[Detection]:
        return self.search.all_faces(image, minimum_face_pixels)

    def assess(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        return quality.assess(image, detection, use=use)

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        return fuse(self.recognisers, image, [detection.landmarks for detection in detections])

    def live_scores(self, image: Image, detection: Detection) -> LiveScores:
        del image, detection
        return LiveScores()
