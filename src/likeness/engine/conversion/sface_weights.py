"""SFace, a MobileNet with 128 numbers a face, from the OpenCV Zoo's ONNX file with weights in 8-bit blocks.

The network is written anew from the file's constants, so that it runs as fast as it can: the normalisations of batches are
folded into the convolutions before them and into the matrix at the end, and each PReLU becomes two convolutions that the
runtime keeps in its fast layout (half the time of its own PReLU).

Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", 2021.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from likeness.engine.conversion.adaptation import restore_weights
from likeness.engine.conversion.graph import Graph

Constants = dict[str, NDArray[np.float32]]

_SIDE, _TEMPLATE, _BLOCKS = 112, 128, 14
_HALVING = (3, 5, 7, 13)
"""The blocks whose first convolution halves the sides."""
_EPSILON, _LAST_EPSILON = 1e-3, 2e-5
"""What is added to the variances, in the blocks and behind them."""


def recognition_network(file: bytes) -> bytes:
    """Convert: (n, 112, 112, 3) uint8 RGB to ``templates`` (n, 128)."""
    restored = onnx.load_from_string(restore_weights(file))
    constants = {constant.name: numpy_helper.to_array(constant) for constant in restored.graph.initializer}
    graph = Graph("sface")
    # The first convolution is padded with zeros after this, so it cannot be folded into it.
    x = graph.add("Sub", graph.pixels("pixels"), graph.constant(constants["scalar_op1"]))
    x = graph.add("Mul", x, graph.constant(constants["scalar_op2"]))
    signs = np.ones(3, np.float32)
    for block in range(1, _BLOCKS + 1):
        for layer in (f"conv_{block}_dw", f"conv_{block}"):
            if layer == "conv_1_dw":
                continue
            depthwise = layer.endswith("dw")
            stride = 2 if depthwise and block in _HALVING else 1
            x, signs = _layer(graph, x, signs, constants, layer, stride=stride, depthwise=depthwise)
    matrix, bias = _last(constants, signs)
    x = graph.add("Gemm", graph.add("Flatten", x), graph.constant(matrix), graph.constant(bias), transB=1)
    return graph.build({"pixels": (TensorProto.UINT8, ("n", _SIDE, _SIDE, 3))}, {"templates": (x, ("n", _TEMPLATE))})


def _layer(
    graph: Graph,
    source: str,
    signs: NDArray[np.float32],
    constants: Constants,
    layer: str,
    *,
    stride: int,
    depthwise: bool,
) -> tuple[str, NDArray[np.float32]]:
    """Add a convolution, its normalisation and its PReLU. ``signs``: 1 or -1 for each channel that comes in, and that goes out."""
    weights = constants[f"{layer}_conv2d_weight_reshaped"]
    scale, shift = _normalisation(constants, f"{layer}_batchnorm", _EPSILON)
    weights = weights * (signs[:, None, None, None] if depthwise else signs[None, :, None, None])
    weights = (weights * scale[:, None, None, None]).astype(np.float32)
    padding = weights.shape[2] // 2
    x = graph.conv(source, weights, shift.astype(np.float32), stride=stride, padding=padding, depthwise=depthwise)
    return _prelu(graph, x, constants[f"{layer}_relu_gamma"].reshape(-1, 1, 1, 1))


def _prelu(graph: Graph, source: str, slopes: NDArray[np.float32]) -> tuple[str, NDArray[np.float32]]:
    """Give slope * x + relu((1 - slope) * x) where the slope is at most 1, else that of the opposite sign; and the signs.

    Both parts are convolutions: the runtime makes the ReLU a part of the one, and the sum a part of the other.
    """
    signs = np.where(slopes <= 1, 1, -1).astype(np.float32)
    nothing = np.zeros(len(slopes), np.float32)
    raised = graph.add("Relu", graph.conv(source, np.abs(1 - slopes), nothing, depthwise=True))
    return graph.add("Add", graph.conv(source, signs * slopes, nothing, depthwise=True), raised), signs.ravel()


def _last(constants: Constants, signs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the matrix that ends the network, and its bias, with the normalisations before and behind it."""
    matrix = constants["pre_fc1_weight_dequantized"].astype(np.float64).reshape(_TEMPLATE, len(signs), -1)
    before, shift = _normalisation(constants, "bn1", _LAST_EPSILON)
    behind, bias = _normalisation(constants, "fc1", _LAST_EPSILON)
    bias = bias + behind * (constants["pre_fc1_bias_dequantized"] + matrix.sum(axis=2) @ shift)
    matrix = matrix * (before * signs)[:, None] * behind[:, None, None]
    return matrix.reshape(_TEMPLATE, -1).astype(np.float32), bias.astype(np.float32)


def _normalisation(constants: Constants, name: str, epsilon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what a normalisation of batches multiplies each channel by, and what it adds then."""
    gamma, beta, mean, variance = (
        constants[f"{name}_{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_var")
    )
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale
