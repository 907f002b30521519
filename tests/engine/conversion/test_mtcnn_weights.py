"""The converted network against the same layers in simple, slow NumPy."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from likeness.engine.conversion import mtcnn_weights
from likeness.engine.runtime import Network


def weights(name: str) -> list[np.ndarray]:
    path = importlib.metadata.distribution("mtcnn").locate_file(f"mtcnn/assets/weights/{name}.lz4")
    return mtcnn_weights.read_weights(Path(str(path)).read_bytes())


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel, optimize=True) + bias


def prelu(x: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + slopes.reshape(-1) * np.minimum(x, 0)


def pool(x: np.ndarray, size: int, *, same: bool) -> np.ndarray:
    if same:
        pads = [max((-(-extent // 2) - 1) * 2 + size - extent, 0) for extent in x.shape[:2]]
        x = np.pad(x, [(pad // 2, pad - pad // 2) for pad in pads] + [(0, 0)], constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))[::2, ::2].max(axis=(3, 4))


def softmax(x: np.ndarray) -> np.ndarray:
    exponents = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def head(layers: list[np.ndarray], pixels: np.ndarray, pools: list[tuple[int, bool]]) -> list[np.ndarray]:
    x = (pixels.astype(np.float64) - 127.5) / 128
    for index, (size, same) in enumerate(pools):
        x = pool(prelu(convolve(x, *layers[3 * index : 3 * index + 2]), layers[3 * index + 2]), size, same=same)
    rest = layers[3 * len(pools) :]
    x = prelu(convolve(x, *rest[:2]), rest[2])
    x = prelu(x.transpose(1, 0, 2).ravel() @ rest[3] + rest[4], rest[5])
    return [x @ matrix + bias for matrix, bias in zip(rest[6::2], rest[7::2], strict=True)]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)


def test_output_network(pixels: np.ndarray) -> None:
    layers = weights("onet")
    answer = Network(mtcnn_weights.output_network(layers)).run(pixels=pixels)
    for index, crop in enumerate(pixels):
        regions, landmarks, faces = head(layers, crop, [(3, True), (3, False), (2, True)])
        assert np.allclose(answer["regions"][index], regions, atol=1e-4)
        assert np.allclose(answer["landmarks"][index], landmarks, atol=1e-4)
        assert np.allclose(answer["faces"][index], softmax(faces)[1], atol=1e-4)
