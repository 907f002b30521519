"""Defects of a face image, found by a small network of our own on the crop of the quality measures.

A level's false match rate applies to every photo that is accepted. Photos that are blurred, covered or unnatural
resemble each other more than people do. Rules on pixels do not recognise such photos well, so a network does.
``scripts/train_defects.py`` trains the network and describes the method.
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
"""The network's outputs, named after measures of ISO/IEC 29794-5. In the standard, the last is a measure of the camera.
"""

MODEL: Final = Path(str(files("likeness.engine.quality") / "defects.onnx"))


@dataclass(frozen=True, slots=True)
class DefectFinder:
    """The loaded network. Thread-safe."""

    network: Network

    @classmethod
    def load(cls, load: Callable[[bytes], Network]) -> "DefectFinder":
        return cls(load(MODEL.read_bytes()))

    def find(self, crop: Image) -> dict[str, float]:
        """Return for each of ``DEFECTS`` the log-odds that the crop (side, side, 3) has it. Far below 0 is good."""
        (log_odds,) = self.network.run(pixels=crop[None]).values()
        return dict(zip(DEFECTS, log_odds[0].tolist(), strict=True))
