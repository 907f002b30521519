"""MediaPipe's network for 478 landmarks of a face, from the TensorFlow Lite file of its face landmarker.

The conversion widens the file's 16-bit constants and moves the channels first. It folds the division by 255 into the
first convolution. It splits each PReLU into operations that the runtime keeps in its fast layout, in a third of the
time.

Source: Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", 2020.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.engine.conversion.tflite import Model, Operation, read_model

SIDE, LANDMARKS = 256, 478


def landmark_network(file: bytes) -> bytes:
    """Convert the network of the landmarks.

    Its input is ``pixels`` (n, 256, 256, 3) uint8 RGB. Its outputs are ``landmarks`` (n, 478, 3: x, y, depth in pixels)
    and ``presence`` (n, 1), a probability.
    """
    model = read_model(file)
    network = _Network(Graph("face_landmarks"), model)
    for operation in model.operations:
        network.add(operation)
    graph = network.graph
    landmarks, presence = (graph.add("Flatten", network.names[output]) for output in model.outputs[:2])
    landmarks = graph.add("Reshape", landmarks, graph.constant(np.array([0, LANDMARKS, 3], np.int64)))
    return graph.build(
        {"pixels": (TensorProto.UINT8, ("n", SIDE, SIDE, 3))},
        {"landmarks": (landmarks, ("n", LANDMARKS, 3)), "presence": (graph.add("Sigmoid", presence), ("n", 1))},
    )


class _Network:
    """A graph under construction, with its name for each tensor of the file."""

    def __init__(self, graph: Graph, model: Model) -> None:
        self.graph = graph
        self.constants: dict[int, NDArray[Any]] = dict(model.constants)
        (self.pixels,) = model.inputs
        self.names = {self.pixels: graph.pixels("pixels")}

    def add(self, operation: Operation) -> None:
        first, (output,) = operation.inputs[0], operation.outputs
        if operation.kind == "Dequantize":
            self.constants[output] = self.constants[first].astype(np.float32)
        else:
            self.names[output] = self._node(operation, self.names[first])

    def _node(self, operation: Operation, source: str) -> str:
        constants = [self.constants[index] for index in operation.inputs[1:] if index in self.constants]
        match operation.kind:
            case "Conv" | "DepthwiseConv":
                return self._convolution(operation, source, *constants)
            case "PRelu":
                return self.graph.prelu(source, *constants)
            case "Add":
                return self.graph.add("Add", source, self.names[operation.inputs[1]])
            case "MaxPool":
                return self.graph.add("MaxPool", source, kernel_shape=[2, 2], strides=[operation.stride] * 2)
            case "Pad":
                # The network pads only the channels, and only at their end.
                (_, _, _, (_, added)) = constants[0].tolist()
                return self.graph.add("Pad", source, self.graph.constant(np.array([0] * 5 + [added, 0, 0], np.int64)))
            case _:
                # `landmark_network` adds the operations after the last convolutions.
                return source

    def _convolution(self, operation: Operation, source: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        depthwise = operation.kind == "DepthwiseConv"
        weights = weights.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        if operation.inputs[0] == self.pixels:
            weights = np.asarray(weights / 255, np.float32)
        return self.graph.add(
            "Conv",
            source,
            self.graph.constant(weights),
            self.graph.constant(bias),
            strides=[operation.stride] * 2,
            auto_pad="SAME_UPPER" if operation.same else "VALID",
            group=len(weights) if depthwise else 1,
        )
