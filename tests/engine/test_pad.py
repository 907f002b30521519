import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Box, Detection
from likeness.engine.pad import PadModel, live_scores


class Seen:
    """A stub of a network that keeps its last input."""

    def __init__(self, logits: list[float]) -> None:
        self.logits = np.array([logits], np.float32)

    def run(self, *, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.pixels = pixels
        return {"logits": self.logits}


def face(x: int, y: int, width: int, height: int) -> Detection:
    return Detection(Box(x, y, width, height), np.zeros((5, 2), np.float32), 1.0)


COLUMNS = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (150, 1, 3))


def test_the_score_is_the_probability_of_the_live_class() -> None:
    model = PadModel("one", Seen([0.0, np.log(3.0), 0.0]), 16, 2.0, 1)  # type: ignore[arg-type]
    assert model.score(COLUMNS, face(80, 50, 20, 30)) == pytest.approx(3 / 5)
    assert live_scores((model,), COLUMNS, face(80, 50, 20, 30)).by_model == {"one": pytest.approx(3 / 5)}
    assert live_scores((), COLUMNS, face(80, 50, 20, 30)).by_model == {}


@pytest.mark.parametrize(
    ("box", "first", "last"),
    [
        ((80, 50, 20, 30), 60, 119),  # 60 wide, with its middle at 90
        ((0, 50, 20, 30), 0, 59),  # moved away from the edge
        ((180, 50, 20, 30), 140, 199),
        ((50, 0, 100, 150), 25, 174),  # no wider than the photo is high
        ((-50, -50, 400, 400), 50, 199),
    ],
)
def test_the_square_stays_inside_the_photo(box: tuple[int, int, int, int], first: int, last: int) -> None:
    network = Seen([0.0, 0.0])
    PadModel("one", network, 50, 2.0, 0).score(COLUMNS, face(*box))  # type: ignore[arg-type]
    row = network.pixels[0, 25, :, 0].astype(int)
    assert network.pixels.shape == (1, 50, 50, 3)
    assert row[0] == pytest.approx(first, abs=2.5)
    assert row[-1] == pytest.approx(last, abs=2.5)
