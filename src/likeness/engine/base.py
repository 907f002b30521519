"""The interface of an engine, and the types that it takes and returns.

All coordinates are pixels of the upright image, after the EXIF orientation is applied: x to the right, y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import ModelPack
from likeness.engine.policy import FacePolicy

Image = NDArray[np.uint8]
"""An upright photo: (height, width, 3) uint8, RGB."""

Template = NDArray[np.float32]
"""One face as a unit vector: (d,) float32. The score of two templates of one pack is their dot product."""


class Use(StrEnum):
    """The use of a photo. Each use has its own quality thresholds, because a reference is kept longer than a probe."""

    ENROL = "enrol"
    PROBE = "probe"
    ID_PHOTO = "idPhoto"


@dataclass(frozen=True, slots=True)
class Box:
    """A face's bounding box in pixels. It may extend beyond the image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face as the detector found it: its box, five landmarks (5, 2) float32, and a confidence in [0, 1].

    The landmarks are left eye, right eye, nose tip, left mouth corner and right mouth corner, as seen in the image.
    """

    box: Box
    landmarks: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, slots=True)
class QualityMeasure:
    """One ISO/IEC 29794-5 quality measure: its raw value and its scalar in 0..100 (higher is better)."""

    name: str
    raw: float
    scalar: int


@dataclass(frozen=True, slots=True)
class Quality:
    """A face image's unified quality score in 0..100, and the measures that the score combines."""

    score: int
    measures: tuple[QualityMeasure, ...] = ()
    reasons: tuple[str, ...] = ()
    """The measures below the threshold of the use, worst first. It is empty if the photo is good enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The subject of a photo: the face that it is of, before its quality is measured and its template is computed."""

    image: Image
    """The upright photo. It is smaller than the original where networks cannot use more pixels."""
    detection: Detection
    """The face, in pixels of ``image``."""
    reduction: int
    """The photo's width divided by the width of ``image``; the heights have the same ratio."""
    photo_size: tuple[int, int]
    """(width, height) of the upright photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The subject's face in a photo, with its template and its quality."""

    detection: Detection
    template: Template
    quality: Quality
    image_size: tuple[int, int]
    """(width, height) of the upright photo that ``detection`` refers to."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveScores:
    """The passive PAD scores of one face, by model id. Each is in [0, 1]; a higher score means a live face."""

    by_model: dict[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """A loaded model pack. Every method blocks and is thread-safe; call it on a sized executor."""

    @property
    def pack(self) -> ModelPack: ...

    @property
    def calibration(self) -> Calibration:
        """The thresholds of the levels. Raises SetupError if the pack was never calibrated."""
        ...

    @property
    def judges_passively(self) -> bool:
        """Whether the engine has a passive PAD model. Without one, :meth:`live_scores` is always empty."""
        ...

    def decode(self, photo: bytes) -> Image:
        """Decode a JPEG or PNG to an upright RGB image.

        The image has the photo's size, or half of it where networks cannot use more pixels.

        Raises UnsupportedMediaType for any other format. Raises InvalidImage for damage, decompression bombs and a
        false header.
        """
        ...

    def locate(self, photo: bytes, *, policy: FacePolicy = FacePolicy.LARGEST) -> Subject:
        """Decode a photo and find its subject.

        Raises the errors of :meth:`decode`, NoFace and MultipleFaces.
        """
        ...

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        """Assess and embed the face that :meth:`locate` returns. Raises the errors of that method, and LowQuality."""
        ...

    def detect(
        self, image: Image, *, minimum_face_pixels: float | None = None, upright: bool = False
    ) -> list[Detection]:
        """Find all faces, largest first.

        ``minimum_face_pixels`` is the width of the smallest face to find; a larger value is faster. ``upright`` says
        that the image is upright; then the search does not turn it.
        """
        ...

    def assess(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        """Measure one face's quality on its pixels, and name the measures that are too low for this use."""
        ...

    def measure(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        """Measure one face's quality as :meth:`analyse` does: on its pixels and by its template. It costs more."""
        ...

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        """Compute the templates of n detections in one batch, as (n, template_size) float32 rows of length 1."""
        ...

    def live_scores(self, image: Image, detection: Detection) -> LiveScores:
        """Compute the scores of the passive PAD models. They are empty if the pack has no such model."""
        ...
