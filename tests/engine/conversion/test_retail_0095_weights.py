"""The converted network against the same layers in simple, slow NumPy."""

from pathlib import Path

import numpy as np
import pytest

from likeness.engine.conversion.retail_0095_weights import retail_0095_network
from likeness.engine.recognition import unit
from likeness.engine.runtime import Network
from likeness.errors import SetupError

VALUES = 1_106_814
MATRIX = 256 * 512
"""The size of the last matrix. The conversion rotates its 256 outputs and keeps 160."""


class Layers:
    """Layers in NumPy on (channels, rows, columns), which take the file's values one layer at a time."""

    def __init__(self, values: np.ndarray) -> None:
        self.rest = values.astype(np.float64)

    def take(self, *shape: int) -> np.ndarray:
        taken, self.rest = np.split(self.rest, [int(np.prod(shape))])
        return taken.reshape(shape)

    def leaky(self, x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, self.take(1) * x)

    def point(self, x: np.ndarray, outputs: int) -> np.ndarray:
        weights = self.take(outputs, len(x))
        return np.tensordot(weights, x, 1) + self.take(outputs).reshape(-1, *[1] * (x.ndim - 1))

    def spread(self, x: np.ndarray, weights: np.ndarray, stride: int) -> np.ndarray:
        padded, size = np.pad(x, ((0, 0), (1, 1), (1, 1))), x.shape[1]
        windows = {(i, j): padded[:, i : i + size : stride, j : j + size : stride] for i in range(3) for j in range(3)}
        if weights.ndim == 3:
            return sum(weights[:, i, j, None, None] * window for (i, j), window in windows.items())
        return sum(np.tensordot(weights[:, :, i, j], window, 1) for (i, j), window in windows.items())  # type: ignore[return-value]

    def depthwise(self, x: np.ndarray, stride: int = 1) -> np.ndarray:
        weights = self.take(len(x), 3, 3)
        return self.spread(x, weights, stride) + self.take(len(x))[:, None, None]

    def block(self, x: np.ndarray, outside: int, inside: int, stride: int) -> np.ndarray:
        y = self.leaky(self.point(x, inside))
        y = self.point(self.leaky(self.depthwise(y, stride)), outside)
        share = self.point(self.leaky(self.point(y.mean(axis=(1, 2)), outside // 8)), outside)
        y = y / (1 + np.exp(-share))[:, None, None]
        return x + y if stride == 1 else y

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        bgr = pixels[:, :, ::-1].transpose(2, 0, 1)
        scale, shift = self.take(3, 1, 1), self.take(3, 1, 1)
        weights = self.take(64, 3, 3, 3)
        x = self.leaky(self.spread(scale * bgr + shift, weights, 2) + self.take(64)[:, None, None])
        x = self.leaky(self.depthwise(x))
        for outside, inside, strides in (
            (64, 128, [2, 1, 1, 1, 1]),
            (128, 256, [2, 1, 1, 1, 1, 1, 1]),
            (128, 512, [2]),
            (128, 256, [1, 1]),
        ):
            for stride in strides:
                x = self.block(x, outside, inside, stride)
        x = self.leaky(self.point(x, 512))
        x = (x * self.take(512, 8, 8)).sum(axis=(1, 2)) + self.take(512)
        return self.take(256, 512) @ x


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """Return random weights. The last matrix has rank 100, so the conversion keeps all its dimensions."""
    generator = np.random.default_rng(6)
    values = generator.normal(size=VALUES) * 0.08
    values[-MATRIX:] = (generator.normal(size=(256, 100)) @ generator.normal(size=(100, 512))).ravel() * 0.01
    values[:6] = [0.02, 0.018, 0.016, -2.1, -1.9, -1.7]
    return values.astype("<f2")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)


def test_scores_are_those_of_all_256_numbers(values: np.ndarray, pixels: np.ndarray) -> None:
    templates = unit(Network(retail_0095_network(values.tobytes())).run(pixels=pixels)["templates"])
    layers = [Layers(values) for _ in pixels]
    whole = np.array([each.embed(picture) for each, picture in zip(layers, pixels, strict=True)])
    assert not any(each.rest.size for each in layers)
    assert templates.shape == (2, 160)
    assert templates @ templates.T == pytest.approx(unit(whole) @ unit(whole).T, abs=2e-4)


def test_a_file_of_another_length_is_refused(values: np.ndarray) -> None:
    for wrong in (values[:-1], values[:1000], np.append(values, values[:1])):
        with pytest.raises(SetupError):
            retail_0095_network(wrong.tobytes())


@pytest.mark.data
def test_what_is_cut_off_says_nothing(data: Path) -> None:
    matrix = np.fromfile(data / "models" / "face-reidentification-retail-0095.bin", "<f2")[-MATRIX:]
    strengths = np.linalg.svd(matrix.reshape(256, 512).astype(np.float64), compute_uv=False)
    assert strengths[160] < 0.01 * strengths[0]
