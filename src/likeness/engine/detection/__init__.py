"""Finding faces: detectors, and how they are used on photos of any size and orientation."""

from dataclasses import dataclass
from typing import Protocol

from likeness.engine.base import Box, Detection, Image
from likeness.engine.detection.work import Work


@dataclass(frozen=True, slots=True)
class Trace:
    """A place where a look saw something like a face, though too small or too unclear to believe."""

    box: Box
    score: float
    """0..1."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a detector saw in one look at a picture."""

    faces: list[Detection]
    """In no order."""
    traces: list[Trace]
    """The best first. Empty unless they were asked for."""


class Detector(Protocol):
    """Finds upright faces at one resolution. Thread-safe."""

    convincing: float
    """Confidence at which an upright face leaves no doubt. Below it, another orientation may fit better."""
    credible: float
    """Confidence that a face needs beside a convincing one."""
    finest: float
    """Pixels of the smallest face worth looking for."""

    def look(self, image: Image, *, smallest: float, work: Work, traces: bool = False) -> Look:
        """Find the faces at least about ``smallest`` pixels wide. The cost falls with its square.

        A look costs no more than what is left of ``work``: then it misses the smallest faces.
        """
        ...
