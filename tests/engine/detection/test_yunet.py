import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.detection.locator import Located
from likeness.engine.detection.work import Work
from likeness.engine.detection.yunet import STRIDES, YuNet


class SameEverywhere:
    """A stub of the network that sees a small face of one score in every cell."""

    def __init__(self, score: float) -> None:
        self._score = score
        self.pixels = 0

    def run(self, *, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.pixels = pixels.shape[1] * pixels.shape[2]
        cells = {stride: (pixels.shape[1] // stride) * (pixels.shape[2] // stride) for stride in STRIDES}
        scores = {
            f"{kind}_{stride}": np.full((1, size, 1), self._score, np.float32)
            for stride, size in cells.items()
            for kind in ("cls", "obj")
        }
        return scores | {f"bbox_{stride}": np.zeros((1, size, 4), np.float32) for stride, size in cells.items()}


class CountingLocator:
    def __init__(self) -> None:
        self.widths: list[float] = []

    def locate(self, _image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> Located:
        self.widths = (boxes[:, 2] - boxes[:, 0]).tolist()
        return Located(np.zeros((len(boxes), 5, 2), np.float32), np.ones(len(boxes), np.float32))


def detector(score: float) -> tuple[YuNet, SameEverywhere, CountingLocator]:
    network, locator = SameEverywhere(score), CountingLocator()
    return YuNet(network, locator), network, locator  # type: ignore[arg-type]


PHOTO = np.zeros((1280, 1280, 3), np.uint8)


def test_a_picture_tiled_with_faces_takes_bounded_work() -> None:
    yunet, _, locator = detector(1)
    found = yunet.look(PHOTO, smallest=20, work=Work(10**9)).faces
    assert len(found) == len(locator.widths) == 300


def test_where_work_is_short_the_largest_faces_are_located() -> None:
    yunet, _, locator = detector(1)
    work = Work(64 * 64 + 240_000)
    found = yunet.look(PHOTO[:64, :64], smallest=20, work=work).faces
    assert len(found) == 10
    assert sorted(locator.widths, reverse=True) == [32.0] * 4 + [16.0] * 6
    assert work.left == pytest.approx(130_000)


def test_a_look_costs_no_more_than_the_work_that_is_left() -> None:
    yunet, network, _ = detector(0)
    for left in (640 * 640, 100.0, 0.0):
        work = Work(left)
        assert yunet.look(PHOTO, smallest=20, work=work).faces == []
        assert network.pixels <= max(left, 32 * 32)
        assert work.left <= left * 0.01


def test_what_is_less_than_a_face_is_a_trace_if_it_is_asked_for() -> None:
    yunet, _, locator = detector(0.3)
    assert yunet.look(PHOTO, smallest=20, work=Work()).traces == []
    look = yunet.look(PHOTO, smallest=20, work=Work(), traces=True)
    assert look.faces == []
    assert 0 < len(look.traces) <= 16
    assert [trace.score for trace in look.traces] == pytest.approx([0.3] * len(look.traces))
    assert locator.widths == []
