"""What spoils a face image: a small network of our own looks at the crop that quality is measured on.

A level's promise is for whatever is accepted. Photos that are blurred, covered or unnatural resemble each other more
than people do, and no rule on pixels tells them well. ``scripts/train_defects.py`` makes the network and says how.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from likeness.engine.base import Image
from likeness.engine.runtime import Network

DEFECTS: Final = (
    "Sharpness",
    "CompressionArtifacts",
    "MouthOcclusionPrevention",
    "EyesVisible",
    "FaceOcclusionPrevention",
    "NaturalColour",
    "OverExposurePrevention",
    "PixelAspectRatio",
)
"""The network's outputs, by the measures of ISO/IEC 29794-5 that they are for; the last is the standard's for the
camera."""

MODEL: Final = Path(str(files("likeness.engine.quality") / "defects.onnx"))


@dataclass(frozen=True, slots=True)
class DefectFinder:
    """The network, loaded. Thread-safe."""

    network: Network

    @classmethod
    def load(cls, load: Callable[[bytes], Network]) -> "DefectFinder":
        return cls(load(MODEL.read_bytes()))

    def find(self, crop: Image) -> dict[str, float]:
        """Give for each of ``DEFECTS`` the log-odds that the crop (side, side, 3) has it: far below 0 is good."""
        (log_odds,) = self.network.run(pixels=crop[None]).values()
        return dict(zip(DEFECTS, log_odds[0].tolist(), strict=True))
