"""A builder that writes an ONNX model one layer at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET = 18
_IR_VERSION = 9
_RUNTIME_OPSET = 1
"""The version of the operators that only ONNX Runtime has."""

Shape = Sequence[int | str]


@dataclass(slots=True)
class Graph:
    """A network under construction. Every method adds nodes or a constant and returns the name of the result."""

    name: str
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operation.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def pixels(self, source: str) -> str:
        """Convert (n, height, width, 3) uint8 to (n, 3, height, width) float32 in 0..255."""
        return self.add("Transpose", self.add("Cast", source, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])

    def conv(
        self,
        source: str,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
    ) -> str:
        """Convolve with (out, in, rows, columns) weights.

        With ``depthwise``, convolve each channel alone with (channels, 1, rows, columns) weights.
        """
        return self.add(
            "Conv",
            source,
            self.constant(weights),
            self.constant(bias),
            strides=[stride] * 2,
            pads=[padding] * 4,
            group=len(weights) if depthwise else 1,
        )

    def prelu(self, source: str, slopes: NDArray[np.float32]) -> str:
        """Compute slope * x + (1 - slope) * relu(x), with one slope for each channel.

        This is PReLU in operations that the runtime keeps in its own fast layout.
        """
        each = slopes.reshape(-1, 1, 1, 1)
        kept = self.add("Conv", source, self.constant(each), group=len(each))
        raised = self.add("Conv", self.add("Relu", source), self.constant(1 - each), group=len(each))
        return self.add("Add", kept, raised)

    def build(self, inputs: Mapping[str, tuple[int, Shape]], outputs: Mapping[str, tuple[str, Shape]]) -> bytes:
        """Check and serialise the model. Call this once for a graph.

        Inputs are (type, shape) by name; outputs are (node output, shape) by name.
        """
        for name, (source, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [source], [name]))
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
        )
        others = sorted({node.domain for node in self._nodes if node.domain})
        opsets = [helper.make_opsetid("", _OPSET), *(helper.make_opsetid(domain, _RUNTIME_OPSET) for domain in others)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="likeness")
        # Weights are most of a model, so each copy is released as soon as possible.
        model.graph.initializer.extend(self._constants)
        self._constants.clear()
        content = bytes(model.SerializeToString())
        del model
        onnx.checker.check_model(content, full_check=True)
        return content
