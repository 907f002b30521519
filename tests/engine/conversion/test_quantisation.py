"""Networks in 8 bits say what they say in 32."""

import numpy as np
import pytest
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.engine.conversion.quantisation import measure_ranges, quantise
from likeness.engine.runtime import Network

RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)


def small_network(scale: float = 0.1) -> bytes:
    """Two convolutions with a ReLU between them, and a skip around the second."""
    graph = Graph("small")
    first = graph.conv(graph.pixels("pixels"), weights(8, 3, scale), weights(8))
    rectified = graph.add("Relu", first)
    second = graph.conv(rectified, weights(8, 8, scale), weights(8), padding=1)
    return graph.build(
        {"pixels": (TensorProto.UINT8, ("n", 20, 20, 3))},
        {"sums": (graph.add("Add", second, rectified), ("n", 8, 18, 18))},
    )


def weights(outputs: int, inputs: int | None = None, scale: float = 1.0) -> np.ndarray:
    return (RNG.normal(size=(outputs, inputs, 3, 3) if inputs else outputs) * scale).astype(np.float32)


def test_a_small_network_gives_nearly_the_same():
    model = small_network()
    ranges = measure_ranges(model, [PIXELS[:3], PIXELS[3:]])
    assert len(ranges) == 2  # what the two give; the second takes what the first gives
    exact, rounded = (Network(each).run(pixels=PIXELS)["sums"] for each in (model, quantise(model, ranges)))
    assert 0 < np.abs(rounded - exact).max() < 0.04 * np.ptp(exact)


def test_bright_pixels_and_large_weights_do_not_overflow():
    """Adding two products of bytes in 16 bits without care would: processors without VNNI do just that."""
    graph = Graph("bright")
    ones = np.ones((8, 3, 3, 3), np.float32)
    first = graph.add("Relu", graph.conv(graph.pixels("pixels"), ones, np.zeros(8, np.float32)))
    second = graph.conv(first, np.ones((8, 8, 3, 3), np.float32), np.zeros(8, np.float32))
    model = graph.build({"pixels": (TensorProto.UINT8, ("n", 20, 20, 3))}, {"sums": (second, ("n", 8, 16, 16))})
    white = np.full((1, 20, 20, 3), 255, np.uint8)
    exact, rounded = (
        Network(each).run(pixels=white)["sums"] for each in (model, quantise(model, measure_ranges(model, [white])))
    )
    assert rounded == pytest.approx(exact, rel=0.01)


def test_ranges_of_another_network_are_refused():
    with pytest.raises(ValueError, match="argument"):
        quantise(small_network(), [(0.0, 1.0)])
