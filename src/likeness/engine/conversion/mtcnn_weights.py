"""MTCNN's output network (O-Net), from its weight file in the PyPI package ``mtcnn``.

The file is a list of arrays (joblib in an LZ4 frame). It holds convolutions as (rows, columns, in, out), PReLU slopes,
and dense layers after a flatten in (width, height, channel) order. The input normalisation (x - 127.5) / 128 is folded
into the first convolution, so the network takes plain RGB bytes. Architecture: Zhang et al., "Joint Face Detection and
Alignment using Multi-task Cascaded Convolutional Networks", 2016.
"""

import io
from collections.abc import Iterator
from itertools import islice

import joblib
import lz4.frame
import numpy as np
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.kit.arrays import FloatArray

_SIDE = 48
_POOLS = (("SAME_UPPER", 3), ("VALID", 3), ("SAME_UPPER", 2))
"""The padding and the size of the pooling after each of the first convolutions."""
_BLOCK = 16
"""Channels of a block of the runtime's fast layout with AVX-512. Other processors use blocks of half this size."""


def read_weights(file: bytes) -> list[FloatArray]:
    """Unpack a weight file. It is a pickle, which can run code: pass only bytes whose hash was verified."""
    weights: list[FloatArray] = joblib.load(io.BytesIO(lz4.frame.decompress(file)))
    return weights


def output_network(weights: list[FloatArray]) -> bytes:
    """Convert O-Net.

    Its input is ``pixels`` (n, 48, 48, 3) uint8. Its outputs are ``regions`` (n, 4), ``landmarks`` (n, 10: five x, five
    y) and ``faces`` (n, 1).
    """
    graph, layers = Graph("mtcnn_output"), iter(weights)
    x = graph.pixels("pixels")
    for index, (padding, size) in enumerate(_POOLS):
        x = _convolution(graph, x, layers, normalise=index == 0)
        x = graph.add("MaxPool", x, kernel_shape=[size, size], strides=[2, 2], auto_pad=padding)
    x = _convolution(graph, x, layers)
    dense, bias, slopes = islice(layers, 3)
    channels = weights[3 * len(_POOLS)].shape[3]
    extent = round((dense.shape[0] / channels) ** 0.5)
    dense = dense.reshape(extent, extent, channels, -1).transpose(2, 1, 0, 3).reshape(dense.shape)
    x = graph.add("Gemm", graph.add("Flatten", x), graph.constant(dense), graph.constant(bias))
    x = graph.add("PRelu", x, graph.constant(slopes))
    results = {}
    for output in ("regions", "landmarks", "faces"):
        matrix, bias = islice(layers, 2)
        if output == "faces":
            # A softmax over two classes is the logistic function of their difference.
            matrix, bias = matrix[:, 1:] - matrix[:, :1], bias[1:] - bias[:1]
        y = graph.add("Gemm", x, graph.constant(matrix), graph.constant(bias))
        results[output] = (graph.add("Sigmoid", y) if output == "faces" else y, ("n", matrix.shape[1]))
    return graph.build({"pixels": (TensorProto.UINT8, ("n", _SIDE, _SIDE, 3))}, results)


def _convolution(graph: Graph, source: str, layers: Iterator[FloatArray], *, normalise: bool = False) -> str:
    weights, bias, slopes = islice(layers, 3)
    if normalise:
        bias = bias - weights.sum(axis=(0, 1, 2)) * np.float32(127.5 / 128)
        weights = weights / np.float32(128)
    inner = weights.shape[2] if normalise else _whole_blocks(weights.shape[2])
    added = _whole_blocks(len(bias)) - len(bias)
    weights = np.pad(weights, ((0, 0), (0, 0), (0, inner - weights.shape[2]), (0, added)))
    x = graph.conv(source, _channels_first(weights), np.pad(bias, (0, added)))
    return graph.prelu(x, np.pad(slopes.ravel(), (0, added)))


def _whole_blocks(channels: int) -> int:
    """Round a number of channels up to whole blocks of the runtime's fast layout.

    Channels of zeros cost less time than a change to another layout and back.
    """
    return -(-channels // _BLOCK) * _BLOCK


def _channels_first(weights: FloatArray) -> FloatArray:
    return weights.transpose(3, 2, 0, 1)
