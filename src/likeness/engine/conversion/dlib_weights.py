"""dlib's face recognition network (ResNet-29, Davis King, CC0), from its ``.dat`` file.

The file is dlib's serialisation of nested C++ templates; the layers with parameters stand in it from the input to the
output, each announced by its class name. Integers are a control byte (sign in the top bit, byte count below) and
little-endian bytes; tensors (version 2) are four extents and raw float32.
"""

import re
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.errors import SetupError

Array = NDArray[np.float32]

CHIP_SIDE = 150
"""Pixels of the aligned face that the network takes, on each side."""
TEMPLATE_SIZE = 128

_CHANNEL_MEANS = np.array([122.782, 117.001, 104.298], np.float32)
_CHANNEL_SCALE = np.float32(256)
_STAGES = ((False, 3), (True, 3), (True, 2), (True, 2), (True, 0))
"""Per stage: whether it starts with a down-sampling block, and the plain residual blocks that follow."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with the affine layer behind it already folded in: weights (out, in, rows, columns), bias (out)."""

    weights: Array
    bias: Array
    stride: int
    padding: int


def read_layers(file: bytes) -> tuple[list[Convolution], Array]:
    """Read the 29 convolutions, input first, and the final (256, 128) matrix. Raises SetupError where the file is another network's."""
    reader = _Reader(file)
    convolutions: list[Convolution] = []
    inputs = 3
    while reader.seek_next(b"con_4", b"fc_2") == b"con_4":
        parameters = reader.tensor()
        filters, rows, columns, stride, _, padding, _ = (reader.integer() for _ in range(7))
        count = filters * inputs * rows * columns
        weights, bias = parameters[:count].reshape(filters, inputs, rows, columns), parameters[count:]
        if reader.seek_next(b"affine_") != b"affine_" or bias.size != filters:
            raise SetupError("The dlib network file has an unknown layout.")
        gamma, beta = reader.tensor().reshape(2, filters)
        convolutions.append(Convolution(weights * gamma[:, None, None, None], bias * gamma + beta, stride, padding))
        inputs = filters
    outputs, inputs = reader.integer(), reader.integer()
    return convolutions, reader.tensor().reshape(inputs, outputs)


def recognition_network(convolutions: list[Convolution], matrix: Array) -> bytes:
    """Convert to ONNX: ``pixels`` (n, 150, 150, 3) uint8 RGB to ``templates`` (n, 128), not normalised."""
    graph, layers = Graph("dlib_resnet"), iter(convolutions)
    x = graph.add("Relu", _convolve(graph, graph.pixels("pixels"), _normalised(next(layers))))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side = 35
    for downwards, plain_blocks in _STAGES:
        if downwards:
            x, side = _down_block(graph, x, side, *islice(layers, 2))
        for first, second in zip(*[islice(layers, 2 * plain_blocks)] * 2, strict=True):
            x = graph.add("Relu", graph.add("Add", _two_convolutions(graph, x, first, second), x))
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    templates = graph.add("MatMul", pooled, graph.constant(matrix))
    return graph.build(
        {"pixels": (TensorProto.UINT8, ("n", CHIP_SIDE, CHIP_SIDE, 3))},
        {"templates": (templates, ("n", TEMPLATE_SIZE))},
    )


def _down_block(graph: Graph, source: str, side: int, first: Convolution, second: Convolution) -> tuple[str, int]:
    """Halve the sides: convolutions beside an average pool, the smaller of the two padded with zeros (dlib's add_prev)."""
    deep, pooled = (side - 3) // 2 + 1, side // 2
    skip = graph.add("AveragePool", source, kernel_shape=[2, 2], strides=[2, 2])
    more_channels = second.weights.shape[0] - first.weights.shape[1]
    skip = _pad(graph, skip, channels=more_channels, pixels=0)
    x = _pad(graph, _two_convolutions(graph, source, first, second), channels=0, pixels=pooled - deep)
    return graph.add("Relu", graph.add("Add", x, skip)), pooled


def _two_convolutions(graph: Graph, source: str, first: Convolution, second: Convolution) -> str:
    return _convolve(graph, graph.add("Relu", _convolve(graph, source, first)), second)


def _convolve(graph: Graph, source: str, layer: Convolution) -> str:
    return graph.conv(source, layer.weights, layer.bias, stride=layer.stride, padding=layer.padding)


def _pad(graph: Graph, source: str, *, channels: int, pixels: int) -> str:
    if not channels and not pixels:
        return source
    return graph.add("Pad", source, graph.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)))


def _normalised(layer: Convolution) -> Convolution:
    """Fold the input's normalisation (x - mean) / 256 into the first convolution, which is not padded."""
    shift = (layer.weights * _CHANNEL_MEANS[None, :, None, None]).sum(axis=(1, 2, 3)) / _CHANNEL_SCALE
    return Convolution(layer.weights / _CHANNEL_SCALE, layer.bias - shift, layer.stride, layer.padding)


class _Reader:
    """A position in a dlib stream."""

    def __init__(self, file: bytes) -> None:
        self._file = file
        self._position = 0

    def seek_next(self, *names: bytes) -> bytes:
        """Go past the next of these class names, each a string: one byte that counts the length's bytes, the length, the text."""
        announced = b"|".join(re.escape(bytes((1, len(name))) + name) for name in names)
        found = re.compile(announced).search(self._file, self._position)
        if found is None:
            raise SetupError("The dlib network file has an unknown layout.")
        self._position = found.end()
        return found[0][2:]

    def integer(self) -> int:
        if self._position >= len(self._file):
            raise SetupError("The dlib network file is cut off.")
        control = self._file[self._position]
        size = control & 0x0F
        start = self._position + 1
        self._position = start + size
        value = int.from_bytes(self._file[start : start + size], "little")
        return -value if control & 0x80 else value

    def tensor(self) -> Array:
        version, *extents = (self.integer() for _ in range(5))
        count = int(np.prod(extents))
        if version != 2 or self._position + 4 * count > len(self._file):
            raise SetupError("The dlib network file has an unknown layout.")
        values = np.frombuffer(self._file, "<f4", count, self._position)
        self._position += 4 * count
        return values.astype(np.float32)
