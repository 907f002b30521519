import numpy as np
from numpy.typing import NDArray

from likeness.engine.detection.mtcnn import Located
from likeness.engine.detection.yunet import STRIDES, YuNet


class BelievesEverything:
    """A stub of the network that finds a small face in every cell."""

    def run(self, *, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        cells = {stride: (pixels.shape[1] // stride) * (pixels.shape[2] // stride) for stride in STRIDES}
        sure = {
            f"{kind}_{stride}": np.ones((1, size, 1), np.float32)
            for stride, size in cells.items()
            for kind in ("cls", "obj")
        }
        return sure | {f"bbox_{stride}": np.zeros((1, size, 4), np.float32) for stride, size in cells.items()}


class CountingLocator:
    def __init__(self) -> None:
        self.asked = 0

    def locate(self, _image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> Located:
        self.asked = len(boxes)
        return Located(boxes, np.zeros((len(boxes), 5, 2), np.float32), np.ones(len(boxes), np.float32))


def test_a_picture_tiled_with_faces_takes_bounded_work() -> None:
    locator = CountingLocator()
    photo = np.zeros((1280, 1280, 3), np.uint8)
    found = YuNet(BelievesEverything(), locator).detect(photo, smallest=20)  # type: ignore[arg-type]
    assert len(found) == locator.asked == 300
