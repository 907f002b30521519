"""Open Model Zoo's face-reidentification-retail-0095, from its ``.bin`` file alone.

The file is a sequence of float16 in the network's order. It begins with scale and shift of the pixels (BGR, 0-255).
Then come the weights and biases of each convolution, and one slope where a leaky ReLU follows. The network is a
MobileFaceNet with squeeze and excitation. Its 256 numbers vary in about 150 dimensions, so 160 numbers hold the same
information.

Sources: Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices", 2018;
Hu et al., "Squeeze-and-Excitation Networks", 2018.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.errors import SetupError
from likeness.kit.arrays import FloatArray

_SIDE, _TEMPLATE, _OUTPUT = 128, 160, 256
_STEM, _LAST, _LAST_SIDE, _SQUEEZE = 64, 512, 8, 8
_BLOCKS = ((64, 128, 2, 1), (64, 128, 1, 4), (128, 256, 2, 1), (128, 256, 1, 6), (128, 512, 2, 1), (128, 256, 1, 2))
"""For each kind of block: output channels, inner channels, stride, and the number of such blocks in a row."""


def retail_0095_network(file: bytes) -> bytes:
    """Convert the network, from ``pixels`` (n, 128, 128, 3) uint8 RGB to ``templates`` (n, 160).

    Raises SetupError for a file of another length.
    """
    network = _Network(Graph("face_reidentification_retail_0095"), np.frombuffer(file, "<f2").astype(np.float32))
    graph = network.graph
    scale, shift = (network.values(1, 3, 1, 1)[:, ::-1] for _ in range(2))
    # The first convolution pads the result with zeros, so this scale and shift cannot be folded into it.
    x = graph.add("Mul", graph.pixels("pixels"), graph.constant(scale))
    x = graph.add("Add", x, graph.constant(shift))
    x = network.leaky(network.conv(x, 3, _STEM, side=3, stride=2, reverse=True))
    x = network.leaky(network.conv(x, 1, _STEM, side=3))
    channels = _STEM
    for outside, inside, stride, times in _BLOCKS:
        for _ in range(times):
            x = network.block(x, channels, outside, inside, stride)
            channels = outside
    x = network.leaky(network.conv(x, channels, _LAST))
    x = network.conv(x, 1, _LAST, side=_LAST_SIDE, padding=0)
    matrix = network.values(_OUTPUT, _LAST)
    network.end()
    x = graph.add("Gemm", graph.add("Flatten", x), graph.constant(_strongest(matrix)), transB=1)
    return graph.build({"pixels": (TensorProto.UINT8, ("n", _SIDE, _SIDE, 3))}, {"templates": (x, ("n", _TEMPLATE))})


@dataclass(slots=True)
class _Network:
    """A graph under construction, and the numbers of the file that are not read yet."""

    graph: Graph
    rest: FloatArray

    def values(self, *shape: int) -> FloatArray:
        size = int(np.prod(shape))
        if size > len(self.rest):
            raise SetupError("The weights of face-reidentification-retail-0095 are too short.")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken.reshape(shape)

    def end(self) -> None:
        if len(self.rest):
            raise SetupError("The weights of face-reidentification-retail-0095 are too long.")

    def conv(
        self,
        source: str,
        inputs: int,
        outputs: int,
        *,
        side: int = 1,
        stride: int = 1,
        padding: int | None = None,
        reverse: bool = False,
    ) -> str:
        """Add a convolution. With one input, it convolves each channel alone.

        ``reverse`` lets weights for BGR take RGB.
        """
        weights = self.values(outputs, inputs, side, side)
        return self.graph.conv(
            source,
            weights[:, ::-1] if reverse else weights,
            self.values(outputs),
            stride=stride,
            padding=side // 2 if padding is None else padding,
            depthwise=inputs == 1,
        )

    def leaky(self, source: str) -> str:
        # The runtime merges LeakyRelu into the convolution; it does not merge a PRelu with one slope.
        return self.graph.add("LeakyRelu", source, alpha=float(self.values(1)[0]))

    def block(self, source: str, channels: int, outside: int, inside: int, stride: int) -> str:
        x = self.leaky(self.conv(source, channels, inside))
        x = self.leaky(self.conv(x, 1, inside, side=3, stride=stride))
        x = self.conv(x, inside, outside)
        share = self.leaky(self.conv(self.graph.add("GlobalAveragePool", x), outside, outside // _SQUEEZE))
        share = self.graph.add("Sigmoid", self.conv(share, outside // _SQUEEZE, outside))
        x = self.graph.add("Mul", x, share)
        return self.graph.add("Add", source, x) if stride == 1 else x


def _strongest(matrix: FloatArray) -> FloatArray:
    """Rotate the output of a matrix so that its first numbers vary most, and keep those.

    The scores of templates hardly change.
    """
    exact = matrix.astype(np.float64)
    directions = np.linalg.eigh(exact @ exact.T).eigenvectors[:, : -_TEMPLATE - 1 : -1]
    # The sign of a direction is arbitrary, but it must be the same on every machine.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return np.asarray((directions * np.sign(largest)).T @ matrix, np.float32)
