"""Finding faces: detectors, and how they are used on photos of any size and orientation."""

from typing import Protocol

from likeness.engine.base import Detection, Image


class Detector(Protocol):
    """Finds upright faces at one resolution. Thread-safe."""

    convincing: float
    """Confidence at which an upright face leaves no doubt; below it another orientation may fit better."""
    credible: float
    """Confidence that a face needs beside a convincing one."""
    finest: float
    """Pixels of the smallest face worth looking for."""

    def detect(self, image: Image, *, smallest: float) -> list[Detection]:
        """Find the faces at least about ``smallest`` pixels wide, in no order; the cost falls with its square."""
        ...
