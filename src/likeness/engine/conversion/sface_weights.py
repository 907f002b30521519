"""SFace, a MobileNet with 128 numbers a face, from the OpenCV Zoo's ONNX file with weights in 8-bit blocks.

The network is built again from the file's constants, for speed. Each batch normalisation is folded into the convolution
before it or into the last matrix. Each PReLU becomes two convolutions that the runtime keeps in its fast layout. They
take half the time of the runtime's PReLU.

The 8-bit form quantises only the slowest parts: the largest pointwise convolutions and the last matrix. All other parts
stay in float32. The ranges need no photos: the normalisation before a PReLU gives each channel's mean and deviation.
Each channel has its own step and middle. These cost no time, because the PReLU's two convolutions contain them.

Sources: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", 2021; Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction", 2019.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from likeness.engine.conversion.adaptation import restored_constants
from likeness.engine.conversion.graph import Graph

Constants = dict[str, NDArray[np.float32]]
Values = NDArray[np.floating[Any]]

_SIDE, _TEMPLATE, _BLOCKS = 112, 128, 14
_HALVING = (3, 5, 7, 13)
"""The blocks with a first convolution that halves the sides."""
_EPSILON, _LAST_EPSILON = 1e-3, 2e-5
"""The constants added to variances: in the blocks, and after them."""
_IN_8_BITS = (6, 8, 9, 10, 11, 12, 14)
"""The blocks with the slowest pointwise convolutions. Blocks with few channels and many pixels gain little from 8 bits.
"""
_DEVIATIONS = 12.0
"""Half the range of a channel, in deviations before the PReLU. A smaller range clips values that distinguish people; a
larger range has coarser steps."""
_MIDDLE = 128
_LARGEST = 127
"""Levels are in 0..255 with the middle at 128; weights are in -127..127."""
_BLOCK = 64
"""The number of weights in the last matrix that share a step, as in the file."""
_RUNTIME = "com.microsoft"


@dataclass(frozen=True, slots=True)
class _Levels:
    """The 8-bit levels of the channels from ``_prelu``: (value - middle) / step. Each array is (channels,)."""

    steps: Values
    middles: Values
    means: Values
    """The expected values."""


def sface_network(file: bytes, *, eight_bits: bool = False) -> bytes:
    """Convert the network, from ``pixels`` (n, 112, 112, 3) uint8 RGB to ``templates`` (n, 128).

    ``eight_bits`` is for processors that multiply bytes as fast as AVX-512 VNNI does. Its templates have a cosine of
    .999 with those of float32, so both forms can be compared.
    """
    constants = restored_constants(file)
    graph, side = Graph("sface"), _SIDE
    # The first convolution pads the result with zeros, so this shift and scale cannot be folded into it.
    x = graph.add("Sub", graph.pixels("pixels"), graph.constant(constants["scalar_op1"]))
    x = graph.add("Mul", x, graph.constant(constants["scalar_op2"]))
    signs = np.ones(3, np.float32)
    for block in range(1, _BLOCKS + 1):
        levels = None
        if block > 1:
            stride = 2 if block in _HALVING else 1
            side //= stride
            layer = f"conv_{block}_dw"
            weights, bias = _folded(constants, layer, signs[:, None, None, None])
            x = graph.conv(x, weights, bias, stride=stride, padding=1, depthwise=True)
            if eight_bits and block in _IN_8_BITS:
                levels = _levels(constants, layer)
            x, signs = _prelu(graph, x, constants[f"{layer}_relu_gamma"].ravel(), levels)
        layer = f"conv_{block}"
        weights, bias = _folded(constants, layer, signs[:, None, None])
        if levels:
            x = _pointwise_in_8_bits(graph, x, weights[:, :, 0, 0], bias, levels, side)
        else:
            x = graph.conv(x, weights, bias, padding=weights.shape[2] // 2)
        x, signs = _prelu(graph, x, constants[f"{layer}_relu_gamma"].ravel())
    x = _last(graph, graph.add("Flatten", x), constants, signs, eight_bits=eight_bits)
    return graph.build({"pixels": (TensorProto.UINT8, ("n", _SIDE, _SIDE, 3))}, {"templates": (x, ("n", _TEMPLATE))})


def _folded(constants: Constants, layer: str, signs: Values) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a convolution's weights and bias with its normalisation folded in. ``signs`` are those of its input."""
    scale, shift = _normalisation(constants, f"{layer}_batchnorm", _EPSILON)
    weights = constants[f"{layer}_conv2d_weight_reshaped"] * signs * scale[:, None, None, None]
    return weights.astype(np.float32), shift.astype(np.float32)


def _prelu(
    graph: Graph, source: str, slopes: NDArray[np.float32], levels: _Levels | None = None
) -> tuple[str, NDArray[np.float32]]:
    """Add a PReLU as slope * x + relu((1 - slope) * x), and return its name and the signs of its channels.

    This holds for slopes up to 1. For a slope above 1, the result is the PReLU with the opposite sign.

    Both parts are convolutions. The runtime merges the ReLU into the one and the sum into the other. With ``levels``,
    the result is in these levels.
    """
    signs = _signs(slopes)
    nothing = np.zeros(len(slopes), np.float32)
    kept, raised, offset = signs * slopes, np.abs(1 - slopes), nothing
    if levels:
        kept, raised, offset = (np.asarray(part / levels.steps, np.float32) for part in (kept, raised, -levels.middles))
    higher = graph.add("Relu", graph.conv(source, raised.reshape(-1, 1, 1, 1), nothing, depthwise=True))
    return graph.add("Add", graph.conv(source, kept.reshape(-1, 1, 1, 1), offset, depthwise=True), higher), signs


def _levels(constants: Constants, layer: str) -> _Levels:
    """Choose the levels after a layer's PReLU. Its normalisation gives the normal distribution of the PReLU's input."""
    mean, deviation = (constants[f"{layer}_batchnorm_{part}"].astype(np.float64) for part in ("beta", "gamma"))
    deviation = np.maximum(np.abs(deviation), 1e-6)
    slopes = constants[f"{layer}_relu_gamma"].ravel().astype(np.float64)
    ends = np.stack([mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation, np.zeros(len(mean))])
    ends = np.where(ends > 0, ends, slopes * ends)
    low, high = ends.min(axis=0), ends.max(axis=0)
    distance = mean / deviation
    positive = np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in distance])
    raised = mean * positive + deviation * np.exp(-(distance**2) / 2) / math.sqrt(2 * math.pi)
    signs = _signs(slopes)
    return _Levels(
        (high - low) / (2 * _LARGEST), signs * (high + low) / 2, signs * (slopes * mean + (1 - slopes) * raised)
    )


def _signs(slopes: Values) -> NDArray[np.float32]:
    return np.where(slopes <= 1, 1, -1).astype(np.float32)


def _pointwise_in_8_bits(
    graph: Graph, source: str, weights: NDArray[np.float32], bias: NDArray[np.float32], levels: _Levels, side: int
) -> str:
    """Convolve with (out, in) weights as a product of matrices.

    The input is in ``levels``; the output is in float32.
    """
    outputs, inputs = weights.shape
    shares = weights * levels.steps
    steps = np.abs(shares).max(axis=1, keepdims=True) / _LARGEST
    integers = np.rint(shares / steps)
    # The average error of rounded weights is known, so the bias corrects it.
    lost = (shares - integers * steps) @ ((levels.means - levels.middles) / levels.steps)
    one, middle = graph.constant(np.array([1], np.float32)), graph.constant(np.array([_MIDDLE], np.uint8))
    rows = graph.add("Transpose", source, perm=[0, 2, 3, 1])
    rows = graph.add("Reshape", rows, graph.constant(np.array([-1, inputs], np.int64)))
    rows = graph.add(
        "MatMulIntegerToFloat",
        graph.add("QuantizeLinear", rows, one, middle),
        graph.constant(integers.T.astype(np.int8)),
        one,
        graph.constant(steps.ravel().astype(np.float32)),
        middle,
        "",
        graph.constant((bias + weights @ levels.middles + lost).astype(np.float32)),
        domain=_RUNTIME,
    )
    pixels = graph.add("Reshape", rows, graph.constant(np.array([-1, side, side, outputs], np.int64)))
    return graph.add("Transpose", pixels, perm=[0, 3, 1, 2])


def _last(graph: Graph, source: str, constants: Constants, signs: NDArray[np.float32], *, eight_bits: bool) -> str:
    """Multiply by the network's last matrix, with the normalisations before and after it folded in."""
    # Most of the weights are in this matrix, so it is changed in place.
    matrix = constants.pop("pre_fc1_weight_dequantized").astype(np.float64).reshape(_TEMPLATE, len(signs), -1)
    before, shift = _normalisation(constants, "bn1", _LAST_EPSILON)
    behind, bias = _normalisation(constants, "fc1", _LAST_EPSILON)
    bias = bias + behind * (constants["pre_fc1_bias_dequantized"] + matrix.sum(axis=2) @ shift)
    matrix *= (before * signs)[:, None]
    matrix *= behind[:, None, None]
    added = graph.constant(bias.astype(np.float32))
    if not eight_bits:
        rows = graph.constant(matrix.reshape(_TEMPLATE, -1).astype(np.float32))
        return graph.add("Gemm", source, rows, added, transB=1)
    # The matrix is read once for each face. In float32, the reading takes longer than the multiplication.
    blocks = matrix.reshape(_TEMPLATE, -1, _BLOCK)
    steps = np.maximum(blocks.max(axis=2, keepdims=True), -blocks.min(axis=2, keepdims=True)) / _LARGEST
    blocks /= steps
    np.rint(blocks, out=blocks)
    blocks += _MIDDLE
    return graph.add(
        "MatMulNBits",
        source,
        graph.constant(blocks.astype(np.uint8)),
        graph.constant(steps[:, :, 0].astype(np.float32)),
        "",
        "",
        added,
        domain=_RUNTIME,
        K=matrix[0].size,
        N=_TEMPLATE,
        bits=8,
        block_size=_BLOCK,
        accuracy_level=4,  # the input is in 8 bits, too
    )


def _normalisation(constants: Constants, name: str, epsilon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a batch normalisation's factor and summand for each channel."""
    gamma, beta, mean, variance = (
        constants[f"{name}_{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_var")
    )
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale
