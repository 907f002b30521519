"""Coarse to fine, upright first: looking for faces without paying for what a photo does not need.

A portrait's face is large, so a small picture of the photo shows it. Only while no face is convincing, the search looks
at finer pictures and at the photo turned by each eighth of the circle. The turned photo is costly, so small pictures
choose the turn. All this together costs at most the work of :mod:`likeness.engine.detection.work`.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from likeness.engine.base import Detection, Image
from likeness.engine.detection import Detector, Look, Trace
from likeness.engine.detection.turning import turn, turn_back, turned_part
from likeness.engine.detection.work import PER_PHOTO, Work
from likeness.engine.photo.resampling import Matrix, shrink

_COARSE, _MEDIUM = 0.12, 0.05
"""The smallest face of the first two looks, as a part of the photo's shorter side."""
_FINE = 1 / 64
"""The smallest face of the last look, as a part of the photo's longer side."""
_PROMISING = 0.4
"""The least score of a trace for the last look. In photos whose largest face is found by this look alone, traces have
more than 0.5. In most photos without a face, there is no trace."""
_RIVAL = 0.6
"""A face is a rival of the largest one if it is at least this part as wide. A smaller one cannot be the subject."""
_DOUBTFUL_PIXELS = 32
"""A narrower face is believed only if it, or another face in the photo, is convincing: dogs have faces, too."""
_TURNS = (2, 6, 4, 1, 7, 3, 5)
"""Eighths of a circle, anticlockwise, the likeliest first: an upright camera turned left or right, upside down, then
what is between them.

A face halfway between two quarter turns is like another face for detector and recogniser. So no orientation may be more
than a sixteenth away.
"""
_LIKELY, _MORE_LIKELY = 0.75, 0.2
"""The least confidence of a turned face if none is convincing, and the least difference from the best upright one."""
_POSSIBLE = 0.4
"""The least confidence of a face in a small picture for a look at the whole photo at its turn."""
_LEVEL_DEGREES = 30.0
"""The largest angle between the line of the eyes and the rows of the turned canvas: a sixteenth of the circle, and
some room."""
_CLUE_DEGREES = 40.0
"""The same in a small picture, where landmarks are less exact."""
_TURNED_COARSE = 0.15
"""The smallest face of the looks that choose the turn, as a part of the photo's shorter side. Traces tell of others."""
_TURNED_FACE_PIXELS = 28
"""Pixels of the smallest face in the small picture that is turned to choose the turn."""
_PART_SIDE, _PART_FACES = 192, 4
"""Pixels of the picture of a trace, and its side as a multiple of the trace's width."""
_PART_ROOM = 0.6
"""The smallest face to find in it, as a part of the trace's width."""
_ALL_FACES = 3
"""A search for all faces may take this many times the work of a search for the subject."""
_TRACE_ROOM = 0.8
"""The width of a trace is not exact."""
_TRACES_WORK, _LAST_WORK = 180_000, 800_000
"""The most work for traces on the turned photo, and the least that the last look may take."""
_WHOLE_MAX, _WHOLE_WORK = 3, 600_000
"""How often the whole photo is turned at most, and the work of each of these looks."""


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """A detector, used as the module's docstring says. Thread-safe."""

    detector: Detector

    def all_faces(self, image: Image, smallest: float | None = None, *, upright: bool = False) -> list[Detection]:
        """Find every face of at least ``smallest`` pixels (None: as small as is useful), the largest first.

        ``upright`` means that the image is known to be upright: then there is one look, and the image is not turned.
        """
        work = Work(_ALL_FACES * PER_PHOTO)
        wanted = self._finest(image) if smallest is None else max(smallest, self.detector.finest)
        found = self._look(image, wanted, work)
        if not upright and not self._convincing(found):
            found = self._likelier(found, self._look_turned(image, wanted, work))
        return _largest_first(self._believed(found))

    def subject_and_rivals(self, image: Image) -> list[Detection]:
        """Find the largest face, and all its rivals for being the photo's subject, the largest first.

        Smaller faces may be missing.
        """
        work = Work()
        look = Look([], [])
        finest = self._finest(image)
        side = min(image.shape[:2])
        for smallest in (_COARSE * side, _MEDIUM * side):
            if smallest > finest:
                look = self.detector.look(image, smallest=smallest, work=work, traces=True)
                if self._subject_found(look.faces, smallest):
                    return _largest_first(self._believed(look.faces))
        turned: list[Detection] = []
        if not self._convincing(look.faces):
            turned = self._look_turned(image, finest, work)
            if self._convincing(turned):
                return _largest_first(self._believed(turned))
        upright = look.faces
        if look.faces or _promises_small_faces(look) or _COARSE * side <= finest:
            work.allow(_LAST_WORK)
            upright = self._look(image, finest, work)
        return _largest_first(self._believed(self._likelier(upright, turned)))

    def _look(self, image: Image, smallest: float, work: Work) -> list[Detection]:
        return self.detector.look(image, smallest=smallest, work=work).faces

    def _subject_found(self, faces: list[Detection], smallest: float) -> bool:
        """Whether a search for faces of ``smallest`` pixels found the subject and could also find its rivals."""
        return self._convincing(faces) and max(face.box.width for face in faces) * _RIVAL >= smallest

    def _finest(self, image: Image) -> float:
        return max(self.detector.finest, _FINE * float(max(image.shape[:2])))

    def _look_turned(self, image: Image, smallest: float, work: Work) -> list[Detection]:
        """Look at the photo at its likeliest turns. Return the faces of the first convincing one, or of the best one.

        Texture looks like a small face at one turn or another, so a turned face must be large. It must also be level: a
        face that leans on the turned canvas belongs to another turn, and its landmarks are worse on this one.
        """
        side = min(image.shape[:2])
        coarse, medium = (max(fraction * side, smallest) for fraction in (_COARSE, _MEDIUM))
        best: list[Detection] = []
        looks: set[tuple[int, float]] = set()
        for clue in self._likely_turns(image, medium, work):
            # The look must see the face's rivals, too.
            wanted = coarse if clue.width * _RIVAL >= coarse else medium
            if (clue.eighths, wanted) in looks:
                continue
            looks.add((clue.eighths, wanted))
            turned, back = turn(image, clue.eighths)
            found = self._look(turned, wanted, Work(_WHOLE_WORK))
            level = _level(found)
            if self._convincing(level):
                return [turn_back(face, back) for face in found]
            best = max(best, [turn_back(face, back) for face in level], key=_confidence)
            if len(looks) == _WHOLE_MAX:
                break
        return best

    def _likely_turns(self, image: Image, medium: float, work: Work) -> Iterator["_Clue"]:
        """Give the turns at which a face seems to be level: the convincing ones at once, the likeliest others last."""
        traces: list[_PlacedTrace] = []
        likely: list[_Clue] = []
        for clue in itertools.chain(
            self._turned_clues(image, traces, work), self._trace_clues(image, medium, traces, work)
        ):
            if clue.confidence >= self.detector.convincing:
                yield clue
            if clue.confidence >= _POSSIBLE:
                likely.append(clue)
        likely.sort(reverse=True)
        yield from likely
        # A finer look may see more of a face that did not convince.
        yield from (replace(clue, width=0.0) for clue in likely)

    def _turned_clues(self, image: Image, traces: list["_PlacedTrace"], work: Work) -> Iterator["_Clue"]:
        """Look for large faces in a small picture at each turn, and add to ``traces``."""
        smallest = _TURNED_COARSE * min(image.shape[:2])
        small = shrink(image, min(_TURNED_FACE_PIXELS / smallest, 1.0))
        scale = small.shape[1] / image.shape[1]
        for eighths in _TURNS:
            canvas, back = turn(small, eighths)
            look = self.detector.look(canvas, smallest=smallest * scale, work=work, traces=True)
            yield from _clues(look, eighths, scale)
            traces += [_placed(trace, eighths, back, scale) for trace in look.traces]

    def _trace_clues(self, image: Image, medium: float, traces: list["_PlacedTrace"], work: Work) -> Iterator["_Clue"]:
        """Look at the places of the best traces in the photo itself."""
        least = work.left - _TRACES_WORK
        for trace in sorted(traces, reverse=True):
            if work.left <= least:
                break
            if trace.width >= _TRACE_ROOM * medium:
                scale = _PART_SIDE / (_PART_FACES * trace.width)
                part = turned_part(image, trace.place, _PART_SIDE / scale, trace.eighths, side=_PART_SIDE)
                look = self.detector.look(part, smallest=_PART_ROOM * trace.width * scale, work=work)
                yield from _clues(look, trace.eighths, scale)

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


@dataclass(frozen=True, slots=True, order=True)
class _Clue:
    """A level face in a small picture of the photo at some turn. ``width`` is in pixels of the photo."""

    confidence: float
    eighths: int
    width: float


@dataclass(frozen=True, slots=True, order=True)
class _PlacedTrace:
    """A trace of a small picture at some turn. ``width`` and ``place`` (x, y) are in pixels of the photo."""

    score: float
    eighths: int
    width: float
    place: tuple[float, float]


def _clues(look: Look, eighths: int, scale: float) -> Iterator[_Clue]:
    """Give the best level face of a look at a picture of ``scale`` times the photo's size."""
    if level := _level(look.faces, _CLUE_DEGREES):
        best = max(level, key=lambda face: face.confidence)
        yield _Clue(best.confidence, eighths, best.box.width / scale)


def _placed(trace: Trace, eighths: int, back: Matrix, scale: float) -> _PlacedTrace:
    box = trace.box
    middle = back[:, :2] @ (box.x + box.width / 2 - 0.5, box.y + box.height / 2 - 0.5) + back[:, 2]
    x, y = ((middle + 0.5) / scale - 0.5).tolist()
    return _PlacedTrace(trace.score, eighths, box.width / scale, (x, y))


def _promises_small_faces(look: Look) -> bool:
    return any(trace.score >= _PROMISING for trace in look.traces)


def _level(faces: list[Detection], degrees: float = _LEVEL_DEGREES) -> list[Detection]:
    """Return the faces whose eyes are on one row, more or less."""
    return [face for face in faces if _lean_degrees(face) <= degrees]


def _lean_degrees(face: Detection) -> float:
    across, down = face.landmarks[1] - face.landmarks[0]
    return abs(math.degrees(math.atan2(down, across)))


def _confidence(faces: list[Detection]) -> float:
    return max((face.confidence for face in faces), default=0.0)


def _largest_first(faces: list[Detection]) -> list[Detection]:
    return sorted(faces, key=lambda face: -face.box.area)
