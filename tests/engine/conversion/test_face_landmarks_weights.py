"""The converted network against the same layers in NumPy. The real file is compared with the results of LiteRT 2.3."""

from pathlib import Path

import numpy as np
import pytest

from likeness.engine.conversion.face_landmarks_weights import LANDMARKS, SIDE, landmark_network
from likeness.engine.photo.decoding import decode
from likeness.engine.runtime import Network
from tflite_files import TfliteFile

EXPECTED = {
    1: (126.853, 179.335, -42.748),
    10: (135.201, 62.766, -23.752),
    13: (125.610, 204.999, -8.138),
    14: (125.907, 215.503, -5.494),
    33: (70.557, 121.467, 7.262),
    133: (108.374, 127.745, 0.487),
    145: (88.240, 128.651, -1.515),
    152: (123.436, 244.851, 20.069),
    159: (86.389, 115.901, -3.944),
    234: (44.276, 136.105, 80.201),
    263: (191.564, 127.325, 6.208),
    454: (222.587, 145.535, 78.469),
    468: (86.944, 122.404, 2.531),
    473: (173.125, 126.820, 1.637),
}
"""Some landmarks of the astronaut's face (x, y, depth), as LiteRT computes them."""


class Layers:
    """Layers in NumPy on (rows, columns, channels), and the file that contains the same layers."""

    def __init__(self) -> None:
        self.file = TfliteFile()
        self.generator = np.random.default_rng(5)
        self.place = 0
        self.x: np.ndarray = np.zeros(0)

    def values(self, *shape: int, scale: float) -> np.ndarray:
        return (self.generator.normal(size=shape) * scale).astype(np.float16).astype(np.float64)

    def conv(self, outputs: int, side: int, stride: int = 1, *, same: bool = True, depthwise: bool = False) -> None:
        channels = self.x.shape[2]
        shape = (1, side, side, outputs) if depthwise else (outputs, side, side, channels)
        weights = self.values(*shape, scale=(side * side * (1 if depthwise else channels)) ** -0.5)
        bias = self.values(outputs, scale=0.1)
        inputs = (self.place, self.file.half(weights), self.file.half(bias))
        kind = "DepthwiseConv" if depthwise else "Conv"
        self.place = self.file.step(kind, *inputs, stride=stride, padding=0 if same else 1)
        size = self.x.shape[0]
        # TensorFlow pads an odd number with one more at the end.
        missing = max((-(-size // stride) - 1) * stride + side - size, 0) if same else 0
        before, after = missing // 2, missing - missing // 2
        padded = np.pad(self.x, ((before, after), (before, after), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))[::stride, ::stride]
        taken = "rcoij,ijo->rco" if depthwise else "rckij,oijk->rco"
        self.x = np.einsum(taken, windows, weights[0] if depthwise else weights, optimize=True) + bias

    def prelu(self) -> None:
        slopes = self.values(1, 1, self.x.shape[2], scale=2)
        self.place = self.file.step("PRelu", self.place, self.file.half(slopes))
        self.x = np.where(self.x > 0, self.x, slopes * self.x)

    def pool_and_widen(self, added: int) -> None:
        pooled = self.file.step("MaxPool", self.place, stride=2, padding=0)
        room = self.file.constant(np.array([[0, 0], [0, 0], [0, 0], [0, added]], np.int32))
        self.place = self.file.step("Pad", pooled, room)
        rows, columns, channels = self.x.shape
        pooled_x = self.x.reshape(rows // 2, 2, columns // 2, 2, channels).max(axis=(1, 3))
        self.x = np.pad(pooled_x, ((0, 0), (0, 0), (0, added)))


def test_every_layer_does_what_it_does_in_the_file() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    layers = Layers()
    layers.x = pixels[1] / 255
    layers.conv(4, 3, 2)
    layers.prelu()
    layers.conv(4, 3, 4)
    layers.pool_and_widen(2)
    place, x = layers.place, layers.x
    layers.conv(6, 3, depthwise=True)
    layers.place, layers.x = layers.file.step("Add", place, layers.place), x + layers.x
    layers.prelu()
    layers.conv(3, 3, 2)
    place, x = layers.place, layers.x
    layers.conv(3 * LANDMARKS, 8, same=False)
    landmarks, expected = layers.place, layers.x.reshape(LANDMARKS, 3)
    layers.place, layers.x = place, x
    layers.conv(1, 8, same=False)
    network = Network(landmark_network(layers.file.content([landmarks, layers.place])))
    found = network.run(pixels=pixels)
    assert np.abs(expected).max() > 1
    assert found["landmarks"][1] == pytest.approx(expected, abs=1e-4)
    assert found["presence"][1] == pytest.approx(1 / (1 + np.exp(-layers.x.ravel())), abs=1e-5)


@pytest.mark.data
def test_the_real_file_gives_what_litert_gives(data: Path, astronaut: bytes) -> None:
    network = Network(landmark_network((data / "models" / "face_landmarks_detector.tflite").read_bytes()))
    face = decode(astronaut)[40:168, 160:288].repeat(2, axis=0).repeat(2, axis=1)
    found = network.run(pixels=face[None])
    for index, point in EXPECTED.items():
        assert found["landmarks"][0, index] == pytest.approx(point, abs=0.01), index
    assert found["presence"][0, 0] > 0.99
    assert network.run(pixels=np.full((1, SIDE, SIDE, 3), 128, np.uint8))["presence"][0, 0] < 0.5
