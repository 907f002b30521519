"""Float networks to 8-bit ones: convolutions on small integers, everything else as it was.

Activations are uint8 with one scale a tensor, weights int8 with one scale an output channel, in ONNX's form of
QuantizeLinear and DequantizeLinear pairs, which the runtime fuses into convolutions of integers. Weights use 7 of their 8
bits: processors without VNNI add two products of bytes in 16 bits, which must not overflow. Only the first convolution,
whose weights matter most, has all 8 of them, and its pixels give up a bit instead.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Range = tuple[float, float]
"""The least and the greatest value of a tensor."""

_PIXELS = (0.0, 510.0)
"""Range of the pixels: twice theirs, so that their bytes use 7 bits."""


def measure_ranges(model: bytes, batches: Iterable[NDArray[np.uint8]]) -> list[Range]:
    """Give the ranges that ``quantise`` wants of a network, over batches of (n, side, side, 3) pixels."""
    network = onnx.load_from_string(model)
    names = _activations(network)
    (entry,) = network.graph.input
    network.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [
        [(float(values.min()), float(values.max())) for values in session.run(names, {entry.name: batch})]
        for batch in batches
    ]
    return [(min(low for low, _ in tensor), max(high for _, high in tensor)) for tensor in zip(*runs, strict=True)]


def quantise(model: bytes, ranges: Sequence[Range]) -> bytes:
    """Take a network's convolutions to 8 bits. ``ranges``: of what flows into and out of them, as ``measure_ranges`` gives them.

    Raises ValueError where the network has another number of such tensors.
    """
    network = onnx.load_from_string(model)
    wanted = dict(zip(_activations(network), ranges, strict=True))
    (first, *_) = _convolutions(network)
    writer = _Writer(network)
    for node in list(network.graph.node):
        if node is first:
            writer.quantise(node.input[0], _PIXELS)
        if node.op_type == "Conv":
            writer.quantise_weights(node, bits=8 if node is first else 7)
        writer.append(node)
        for output in node.output:
            if output in wanted:
                writer.quantise(output, wanted[output])
    return writer.build()


def _convolutions(network: onnx.ModelProto) -> list[NodeProto]:
    return [node for node in network.graph.node if node.op_type == "Conv"]


def _activations(network: onnx.ModelProto) -> list[str]:
    """Name what flows into and out of convolutions, but for the pixels, in the network's order.

    A ReLU counts as part of the convolution before it where nothing else reads that.
    """
    readers: dict[str, list[NodeProto]] = {}
    for node in network.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    names: dict[str, None] = {}
    for index, convolution in enumerate(_convolutions(network)):
        if index:
            names[convolution.input[0]] = None
        (output,), behind = convolution.output, readers.get(convolution.output[0], [])
        rectified = len(behind) == 1 and behind[0].op_type == "Relu"
        names[behind[0].output[0] if rectified else output] = None
    return list(names)


@dataclass(slots=True)
class _Writer:
    """Writes a network's nodes anew, with what is quantised in between."""

    network: onnx.ModelProto
    _nodes: list[NodeProto] = field(default_factory=list)
    _scales: dict[str, np.float32] = field(default_factory=dict)

    def append(self, node: NodeProto) -> None:
        """Add a node, which reads the quantised form of its inputs."""
        for index, name in enumerate(node.input):
            if name in self._scales:
                node.input[index] = f"{name}_rounded"
        self._nodes.append(node)

    def quantise(self, name: str, span: Range) -> None:
        """Round a tensor to 256 steps over its range, zero being one of them."""
        low, high = min(span[0], 0.0), max(span[1], 0.0)
        scale = np.float32(max(high - low, 1e-6) / 255)
        parts = [self._constant(f"{name}_step", scale), self._constant(f"{name}_zero", np.uint8(round(-low / scale)))]
        self._nodes.append(helper.make_node("QuantizeLinear", [name, *parts], [f"{name}_bytes"]))
        self._nodes.append(helper.make_node("DequantizeLinear", [f"{name}_bytes", *parts], [f"{name}_rounded"]))
        self._scales[name] = scale

    def quantise_weights(self, convolution: NodeProto, *, bits: int) -> None:
        """Round weights by output channel, and biases to the steps of the products."""
        constants = {constant.name: constant for constant in self.network.graph.initializer}
        source, weights, bias = (
            convolution.input[0],
            *(numpy_helper.to_array(constants[name]) for name in convolution.input[1:]),
        )
        steps = np.abs(weights).max(axis=(1, 2, 3)) / np.float32(2 ** (bits - 1) - 1)
        steps = np.maximum(steps, np.float32(1e-12))
        rounded = np.rint(weights / steps[:, None, None, None]).astype(np.int8)
        convolution.input[1] = self._restored(convolution.input[1], rounded, steps)
        steps = steps * self._scales[source]
        convolution.input[2] = self._restored(convolution.input[2], np.rint(bias / steps).astype(np.int32), steps)

    def _restored(self, name: str, rounded: NDArray[np.int8] | NDArray[np.int32], steps: NDArray[np.float32]) -> str:
        """Give the float form of a constant kept in integers, with a step for each output channel."""
        inputs = [
            self._constant(f"{name}_integers", rounded),
            self._constant(f"{name}_steps", steps),
            self._constant(f"{name}_zeros", np.zeros(len(steps), rounded.dtype)),
        ]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}_rounded"], axis=0))
        return f"{name}_rounded"

    def _constant(self, name: str, values: NDArray[Any] | np.generic) -> str:
        self.network.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def build(self) -> bytes:
        graph = self.network.graph
        used = {name for node in self._nodes for name in node.input}
        constants = [constant for constant in graph.initializer if constant.name in used]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(constants)
        onnx.checker.check_model(self.network, full_check=True)
        return bytes(self.network.SerializeToString())
