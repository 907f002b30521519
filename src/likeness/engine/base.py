"""What an engine gives and what it is asked for.

All coordinates are pixels of the upright image (EXIF orientation applied), x to the right, y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.engine.levels import Calibration
from likeness.engine.policy import FacePolicy

Image = NDArray[np.uint8]
"""An upright photo: (height, width, 3) uint8, RGB."""

Template = NDArray[np.float32]
"""One face as a unit vector: (d,) float32. The score of two templates of one pack is their dot product."""


class Use(StrEnum):
    """What a photo is for; the quality thresholds differ (a reference lives longer than a probe)."""

    ENROL = "enrol"
    PROBE = "probe"
    ID_PHOTO = "idPhoto"


@dataclass(frozen=True, slots=True)
class Box:
    """A face's bounding box in pixels; it may reach past the image's edge."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face found: its box, five landmarks (5, 2) float32 and the detector's confidence in [0, 1].

    Landmark order: the eye on the image's left, the eye on its right, nose tip, mouth corner left, mouth corner right.
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
    """A face image's unified quality score in 0..100, and the measures it was made from."""

    score: int
    measures: tuple[QualityMeasure, ...] = ()
    reasons: tuple[str, ...] = ()
    """Names of the measures that fell below the threshold of the use, worst first; empty when the photo is good enough.
    """


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The one face of a photo that counts, before it is judged or recognised."""

    image: Image
    """The upright photo, made smaller where that leaves all that networks can use."""
    detection: Detection
    """In pixels of ``image``."""
    reduction: int
    """How many times larger the photo is than ``image``, each way."""
    photo_size: tuple[int, int]
    """(width, height) of the upright photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The one face of a photo that counts."""

    detection: Detection
    template: Template
    quality: Quality
    image_size: tuple[int, int]
    """(width, height) of the upright photo that ``detection`` refers to."""


@dataclass(frozen=True, slots=True)
class PackIdentity:
    """What a template is bound to. Templates of different identities are never compared."""

    id: str
    version: str
    template_size: int

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True, eq=False)
class LiveScores:
    """Passive presentation-attack scores of one face, by model id; each in [0, 1], higher is live."""

    by_model: dict[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """One model pack, loaded. Every method blocks, is thread-safe and belongs on a sized executor."""

    @property
    def pack(self) -> PackIdentity: ...

    @property
    def calibration(self) -> Calibration:
        """The thresholds of the levels. Raises SetupError for a pack that was never calibrated."""
        ...

    @property
    def judges_passively(self) -> bool:
        """Whether there is a passive PAD model: without one, :meth:`live_scores` is always empty."""
        ...

    def decode(self, photo: bytes) -> Image:
        """Decode a JPEG or PNG to an upright RGB image.

        It is at full size, or at half of it where that is more than networks can use.

        Raises UnsupportedMediaType for any other format, InvalidImage for damage, bombs and lies in the header.
        """
        ...

    def locate(self, photo: bytes, *, policy: FacePolicy = FacePolicy.LARGEST) -> Subject:
        """Go from photo bytes to the one face that counts.

        Raises what :meth:`decode` raises, NoFace and MultipleFaces.
        """
        ...

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        """Assess and embed the face that :meth:`locate` gives. Raises what that raises, and LowQuality."""
        ...

    def detect(
        self, image: Image, *, minimum_face_pixels: float | None = None, upright: bool = False
    ) -> list[Detection]:
        """Find all faces, largest first.

        ``minimum_face_pixels`` bounds the search (coarse is fast). ``upright``: no face lies on its side, so none is
        sought there.
        """
        ...

    def assess(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        """Measure one face's quality and say what falls short for this use."""
        ...

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        """Give (n, template_size) float32 unit rows, one per detection, in one batch."""
        ...

    def live_scores(self, image: Image, detection: Detection) -> LiveScores:
        """Give the passive PAD models' scores; empty when the pack has none."""
        ...
