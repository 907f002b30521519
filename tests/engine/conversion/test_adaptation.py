import numpy as np
import onnx
import pytest
from onnx import TensorProto

from likeness.engine.conversion.adaptation import first_outputs, resize_input, take_pixels
from likeness.engine.conversion.graph import Graph
from likeness.engine.runtime import Network


def network_of_one_face() -> bytes:
    """Build a network for the mean of each channel of one 4 x 4 picture, with a reshape that allows one picture only."""
    graph = Graph("means")
    means = graph.add("GlobalAveragePool", "planes")
    output = graph.add("Reshape", means, graph.constant(np.array([1, -1], np.int64)))
    return graph.build({"planes": (TensorProto.FLOAT, (1, 3, 4, 4))}, {"means": (output, (1, 3))})


@pytest.mark.parametrize("reverse", [False, True])
def test_a_network_of_one_face_takes_pixels_of_many(reverse: bool) -> None:
    resized = resize_input(network_of_one_face(), ("n", 3, 4, 4), [("n", 3)])
    model = take_pixels(resized, height=4, width=4, mean=(1, 2, 3), deviation=(2, 4, 8), reverse_channels=reverse)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    means = pixels.reshape(5, 16, 3).mean(axis=1)
    expected = ((means[:, ::-1] if reverse else means) - (1, 2, 3)) / (2, 4, 8)
    network = Network(model)
    assert network.inputs == {"pixels": ("n", 4, 4, 3)}
    assert np.allclose(network.run(pixels=pixels)["means"], expected, atol=1e-4)


def test_outputs_behind_the_first_are_left_out() -> None:
    graph = Graph("two")
    outputs = {
        name: (graph.add("Mul", "x", graph.constant(np.array([factor], np.float32))), ("n",))
        for name, factor in (("double", 2), ("triple", 3))
    }
    model = graph.build({"x": (TensorProto.FLOAT, ("n",))}, outputs)
    answer = Network(first_outputs(model, 1)).run(x=np.ones(2, np.float32))
    assert {name: values.tolist() for name, values in answer.items()} == {"double": [2, 2]}


@pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (3, 1), (0, 2)])
def test_a_network_that_wants_pixels_as_they_are(mean: int, deviation: int) -> None:
    resized = resize_input(network_of_one_face(), ("n", 3, 4, 4), [("n", 3)])
    model = take_pixels(resized, height=4, width=4, mean=[mean] * 3, deviation=[deviation] * 3, reverse_channels=False)
    answer = Network(model).run(pixels=np.full((1, 4, 4, 3), 7, np.uint8))
    assert answer["means"].tolist() == [[(7 - mean) / deviation] * 3]


def test_models_from_before_version_4_are_taken() -> None:
    network = onnx.load_from_string(network_of_one_face())
    network.ir_version = 3
    for constant in network.graph.initializer:
        network.graph.input.append(onnx.helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims))
    resized = resize_input(network.SerializeToString(), ("n", 3, 4, 4), [("n", 3)])
    model = take_pixels(resized, height=4, width=4, mean=(0, 0, 0), deviation=(1, 1, 1), reverse_channels=True)
    assert Network(model).run(pixels=np.full((2, 4, 4, 3), 7, np.uint8))["means"].tolist() == [[7] * 3] * 2
