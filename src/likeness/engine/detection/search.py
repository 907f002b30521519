"""Coarse to fine, upright first: looking for faces without paying for what a photo does not need.

A portrait's face is large, so a small picture of the photo shows it. Finer pictures, and the photo turned by every
eighth of the circle, are looked at only while nothing convincing was found.
"""

import math
from dataclasses import dataclass

from likeness.engine.base import Detection, Image
from likeness.engine.detection import Detector
from likeness.engine.detection.turning import turn, turn_back

_COARSE, _MEDIUM = 0.12, 0.05
"""Smallest face of the first two looks, of the photo's shorter side."""
_FINE = 1 / 64
"""Smallest face of the last look, of the photo's longer side: so a photo of any size costs at most so much."""
_RIVAL = 0.6
"""A face that is less than this much as wide as the largest is no rival for being the subject."""
_DOUBTFUL_PIXELS = 32
"""Width below which a face is believed only if it, or another in the photo, is convincing: dogs have faces too."""
_TURNS = (2, 6, 4, 1, 7, 3, 5)
"""Eighths of a circle, anticlockwise, likeliest first: a camera held upright, the other way, upside down, then what
lies between.

Halfway between two quarter turns a face looks like another one to detector and recogniser, so no orientation may be
farther off than a sixteenth.
"""
_LIKELY, _MORE_LIKELY = 0.75, 0.2
"""Least confidence of a turned face where none is convincing, and how far it must be above what is seen upright."""
_LEVEL_DEGREES = 30.0
"""Largest angle between the eyes' line and the canvas' rows after the right turn: a sixteenth of the circle, and some
room."""


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """A detector, used as the module's docstring says. Thread-safe."""

    detector: Detector

    def all_faces(self, image: Image, smallest: float | None = None, *, upright: bool = False) -> list[Detection]:
        """Find every face at least ``smallest`` pixels wide (None: as small as is worth it), largest first.

        ``upright``: the image is known to be, so it is looked at once and never turned.
        """
        wanted = self._finest(image) if smallest is None else max(smallest, self.detector.finest)
        found = self.detector.detect(image, smallest=wanted)
        if not upright and not self._convincing(found):
            found = self._likelier(found, self._look_turned(image, wanted))
        return _largest_first(self._believed(found))

    def subject_and_rivals(self, image: Image) -> list[Detection]:
        """Find the largest face and all that rival it for being the photo's subject, largest first.

        Smaller faces may be missing.
        """
        found: list[Detection] = []
        *widths, finest = self._widths(image)
        for smallest in widths:
            found = self.detector.detect(image, smallest=smallest)
            if self._subject_found(found, smallest):
                return _largest_first(self._believed(found))
        likeliest: list[Detection] = []
        if not self._convincing(found):
            # Only after a closer look at the photo upright has failed too, but before the dearest look.
            for smallest in widths or [finest]:
                turned = self._look_turned(image, smallest)
                if self._convincing(turned):
                    return _largest_first(self._believed(turned))
                likeliest = max(likeliest, turned, key=_confidence)
        upright = self.detector.detect(image, smallest=finest)
        return _largest_first(self._believed(self._likelier(upright, likeliest)))

    def _subject_found(self, faces: list[Detection], smallest: float) -> bool:
        """Whether a search for faces of ``smallest`` pixels found the subject and could also find its rivals."""
        return self._convincing(faces) and max(face.box.width for face in faces) * _RIVAL >= smallest

    def _widths(self, image: Image) -> list[float]:
        """Return the least widths of the searches, in pixels, largest first."""
        side = min(image.shape[:2])
        finest = self._finest(image)
        return sorted({max(fraction * side, finest) for fraction in (_COARSE, _MEDIUM, 0.0)}, reverse=True)

    def _finest(self, image: Image) -> float:
        return max(self.detector.finest, _FINE * float(max(image.shape[:2])))

    def _look_turned(self, image: Image, smallest: float) -> list[Detection]:
        """Turn the photo until a face is convincing, and give what is seen then; else the faces of the likeliest turn.

        Texture looks like a small face in one orientation or another: a turned face must be large. It must be level,
        too: a face that leans on the turned canvas belongs to another turn, and its landmarks are worse on this one.
        """
        likeliest: list[Detection] = []
        for eighths in _TURNS:
            turned, back = turn(image, eighths)
            found = self.detector.detect(turned, smallest=max(smallest, _MEDIUM * min(image.shape[:2])))
            level = [face for face in found if _is_level(face)]
            if self._convincing(level):
                return [turn_back(face, back) for face in found]
            if _confidence(level) > _confidence(likeliest):
                likeliest = [turn_back(face, back) for face in level]
        return likeliest

    def _likelier(self, upright: list[Detection], turned: list[Detection]) -> list[Detection]:
        """Choose between the faces of the upright photo, of which none is convincing, and those of the turned photo."""
        enough = max(_LIKELY, _confidence(upright) + _MORE_LIKELY)
        return turned if self._convincing(turned) or _confidence(turned) >= enough else upright

    def _believed(self, faces: list[Detection]) -> list[Detection]:
        """Return the faces without the doubtful ones.

        Beside a convincing face, others need a credible confidence. Without one, each face must be large enough.
        """
        if self._convincing(faces):
            return [face for face in faces if face.confidence >= self.detector.credible]
        return [face for face in faces if face.box.width >= _DOUBTFUL_PIXELS]

    def _convincing(self, faces: list[Detection]) -> bool:
        return _confidence(faces) >= self.detector.convincing


def _is_level(face: Detection) -> bool:
    across, down = face.landmarks[1] - face.landmarks[0]
    return abs(math.degrees(math.atan2(down, across))) <= _LEVEL_DEGREES


def _confidence(faces: list[Detection]) -> float:
    return max((face.confidence for face in faces), default=0.0)


def _largest_first(faces: list[Detection]) -> list[Detection]:
    return sorted(faces, key=lambda face: -face.box.area)
