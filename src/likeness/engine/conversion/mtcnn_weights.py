"""MTCNN's three networks, from the weight files of the PyPI package ``mtcnn``.

Each file is a list of arrays (joblib in an LZ4 frame). It holds convolutions as (rows, columns, in, out), PReLU slopes,
and dense layers after a flatten in (width, height, channel) order. The input normalisation (x - 127.5) / 128 is folded
into the first convolution, so the networks take plain RGB bytes. Architecture: Zhang et al., "Joint Face Detection and
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

_BLOCK = 16
"""Channels of a block of the runtime's fast layout with AVX-512. Other processors use blocks of half this size."""


def read_weights(file: bytes) -> list[FloatArray]:
    """Unpack a weight file. It is a pickle, which can run code: pass only bytes whose hash was verified."""
    weights: list[FloatArray] = joblib.load(io.BytesIO(lz4.frame.decompress(file)))
    return weights


def proposal_network(weights: list[FloatArray]) -> bytes:
    """Convert P-Net.

    Its input is ``pixels`` (1, h, w, 3) uint8. Its outputs are ``regions`` (1, 4, h', w') and ``faces`` (1, 1, h', w'),
    with one cell for each 2 pixels.
    """
    graph, layers = Graph("mtcnn_proposal"), iter(weights)
    x = _convolution(graph, graph.pixels("pixels"), layers, normalise=True)
    x = graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    x = _convolution(graph, x, layers)
    x = _convolution(graph, x, layers)
    region_weights, region_bias, face_weights, face_bias = layers
    regions = graph.conv(x, _channels_first(region_weights), region_bias)
    # A softmax over two classes is the logistic function of their difference.
    face = graph.conv(x, _channels_first(face_weights[..., 1:] - face_weights[..., :1]), face_bias[1:] - face_bias[:1])
    return graph.build(
        {"pixels": (TensorProto.UINT8, (1, "height", "width", 3))},
        {
            "regions": (regions, (1, 4, "rows", "columns")),
            "faces": (graph.add("Sigmoid", face), (1, 1, "rows", "columns")),
        },
    )


def refinement_network(weights: list[FloatArray]) -> bytes:
    """Convert R-Net, from ``pixels`` (n, 24, 24, 3) uint8 to ``regions`` (n, 4) and ``faces`` (n, 1)."""
    return _head(
        "mtcnn_refinement", weights, side=24, pools=(("SAME_UPPER", 3), ("VALID", 3)), outputs=("regions", "faces")
    )


def output_network(weights: list[FloatArray]) -> bytes:
    """Convert O-Net.

    Its input is ``pixels`` (n, 48, 48, 3) uint8. Its outputs are ``regions`` (n, 4), ``landmarks`` (n, 10: five x, five
    y) and ``faces`` (n, 1).
    """
    pools = (("SAME_UPPER", 3), ("VALID", 3), ("SAME_UPPER", 2))
    return _head("mtcnn_output", weights, side=48, pools=pools, outputs=("regions", "landmarks", "faces"))


def _head(
    name: str, weights: list[FloatArray], *, side: int, pools: tuple[tuple[str, int], ...], outputs: tuple[str, ...]
) -> bytes:
    graph, layers = Graph(name), iter(weights)
    x = graph.pixels("pixels")
    for index, (padding, size) in enumerate(pools):
        x = _convolution(graph, x, layers, normalise=index == 0)
        x = graph.add("MaxPool", x, kernel_shape=[size, size], strides=[2, 2], auto_pad=padding)
    x = _convolution(graph, x, layers)
    dense, bias, slopes = islice(layers, 3)
    channels = weights[3 * len(pools)].shape[3]
    extent = round((dense.shape[0] / channels) ** 0.5)
    dense = dense.reshape(extent, extent, channels, -1).transpose(2, 1, 0, 3).reshape(dense.shape)
    x = graph.add("Gemm", graph.add("Flatten", x), graph.constant(dense), graph.constant(bias))
    x = graph.add("PRelu", x, graph.constant(slopes))
    results = {}
    for output in outputs:
        matrix, bias = islice(layers, 2)
        if output == "faces":
            matrix, bias = matrix[:, 1:] - matrix[:, :1], bias[1:] - bias[:1]
        y = graph.add("Gemm", x, graph.constant(matrix), graph.constant(bias))
        results[output] = (graph.add("Sigmoid", y) if output == "faces" else y, ("n", matrix.shape[1]))
    return graph.build({"pixels": (TensorProto.UINT8, ("n", side, side, 3))}, results)


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
