"""The engine of a model pack: detection, alignment, recognition and quality together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Detection, Face, Image, LiveScores, Quality, Subject, Use
from likeness.engine.detection.search import FaceSearch
from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import ModelPack
from likeness.engine.pad import PadModel, live_scores
from likeness.engine.photo import decoding as photos
from likeness.engine.photo.header import Header, Reduction
from likeness.engine.policy import FacePolicy
from likeness.engine.quality import measures as quality
from likeness.engine.quality.defects import DefectFinder
from likeness.engine.recognition import Recogniser, recognise
from likeness.engine.subject import choose_subject, enlarge
from likeness.errors import LowQuality, SetupError

_SHORTER_SIDE = 480
"""Pixels of a photo's shorter side; they are enough to find a face that can be recognised."""
_FACE_WIDTH = 160
"""Pixels of a face's width; no network here gains from more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackEngine:
    """An ``Engine`` for one pack. It is thread-safe, because every network takes any number of concurrent calls."""

    pack: ModelPack
    search: FaceSearch
    defects: DefectFinder
    recognisers: tuple[Recogniser, ...]
    pad_models: tuple[PadModel, ...] = ()
    stored_calibration: Calibration | None = None
    jpeg_2000: bool = False
    """Whether photos may be JPEG 2000."""

    @property
    def calibration(self) -> Calibration:
        """The thresholds of the levels. Raises SetupError if the pack was never calibrated."""
        if self.stored_calibration is None:
            raise SetupError(
                f"the pack {self.pack.id!r} has no calibration and no levels: run "
                f"`likeness calibrate DIR --pack {self.pack.id} --apply` on your own photos, one folder a person"
            )
        return self.stored_calibration

    @property
    def judges_passively(self) -> bool:
        return bool(self.pad_models)

    def decode(self, photo: bytes) -> Image:
        return photos.decode(photo, jpeg_2000=self.jpeg_2000)

    def locate(self, photo: bytes, *, policy: FacePolicy = FacePolicy.LARGEST) -> Subject:
        header = photos.read_header(photo, jpeg_2000=self.jpeg_2000)
        with photos.Picture(header) as picture:
            return self._locate(header, picture, policy)

    def _locate(self, header: Header, picture: photos.Picture, policy: FacePolicy) -> Subject:
        reduction = max(_reduction(min(header.size) / _SHORTER_SIDE), header.finest)
        image = picture.at(reduction)
        seek = self.search.all_faces if policy is FacePolicy.SINGLE else self.search.subject_and_rivals
        in_focus = partial(quality.in_focus, image, finder=self.defects)
        face = choose_subject(seek(image), (image.shape[1], image.shape[0]), policy, in_focus)
        finer = max(_reduction(face.box.width * reduction / _FACE_WIDTH), header.finest)
        if finer < reduction:
            del image
            image = picture.at(finer)
            face = enlarge(face, reduction / finer)
            reduction = finer
        return Subject(image, face, reduction, header.size)

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        header = photos.read_header(photo, jpeg_2000=self.jpeg_2000)
        with photos.Picture(header) as picture:
            subject = self._locate(header, picture, policy)
            image, face = subject.image, subject.detection
            assessed = self.assess(image, face, use=use)
            _require(assessed)
            assessed, template = self._recognise(image, face, assessed, use)
            _require(assessed)
            return Face(enlarge(face, subject.reduction), template, assessed, subject.photo_size)

    def detect(
        self, image: Image, *, minimum_face_pixels: float | None = None, upright: bool = False
    ) -> list[Detection]:
        return self.search.all_faces(image, minimum_face_pixels, upright=upright)

    def assess(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        return quality.assess(image, detection, self.defects, use=use)

    def measure(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        return self._recognise(image, detection, self.assess(image, detection, use=use), use)[0]

    def _recognise(
        self, image: Image, detection: Detection, assessed: Quality, use: Use
    ) -> tuple[Quality, NDArray[np.float32]]:
        found = recognise(self.recognisers, image, [detection.landmarks])
        if found.lengths is not None:
            assessed = quality.with_length(assessed, float(found.lengths[0]), use=use)
        return assessed, found.templates[0]

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        return recognise(self.recognisers, image, [detection.landmarks for detection in detections]).templates

    def live_scores(self, image: Image, detection: Detection) -> LiveScores:
        return live_scores(self.pad_models, image, detection)


def _require(assessed: Quality) -> None:
    """Raise LowQuality if the photo is not good enough."""
    if assessed.reasons:
        reasons = ", ".join(assessed.reasons)
        raise LowQuality(f"The photo is not good enough: {reasons}.", reasons=assessed.reasons)


def _reduction(room: float) -> Reduction:
    """Return the strongest reduction that leaves enough pixels. ``room`` is the size divided by the size needed."""
    return 8 if room >= 8 else 4 if room >= 4 else 2 if room >= 2 else 1
