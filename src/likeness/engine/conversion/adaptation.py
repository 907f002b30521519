"""Small changes to published ONNX models, so that they take batches of plain pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from likeness.engine.conversion.graph import Shape


def first_outputs(model: bytes, count: int) -> bytes:
    """Keep only the first ``count`` outputs. The runtime then omits the nodes that only the others need."""
    network = onnx.load_from_string(model)
    del network.graph.output[count:]
    return bytes(network.SerializeToString())


def resize_input(model: bytes, shape: Shape, output_shapes: Sequence[Shape]) -> bytes:
    """Declare other shapes for a model's one input and its outputs.

    A reshape to one row becomes a reshape to one row for each item of the batch.
    """
    network = _load(model)
    (entry,) = _true_inputs(network)
    shapes = _constants(network)
    for index, node in enumerate(network.graph.node):
        wanted_shape = shapes.get(node.input[1]) if node.op_type == "Reshape" else None
        if wanted_shape is not None and wanted_shape.size > 1 and wanted_shape[0] == 1:
            # In a reshape, 0 keeps the input's extent.
            name = f"likeness_shape_{index}"
            network.graph.initializer.append(numpy_helper.from_array(np.array([0, *wanted_shape[1:]], np.int64), name))
            node.input[1] = name
    for value, wanted in ((entry, shape), *zip(network.graph.output, output_shapes, strict=True)):
        value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, wanted))
    del network.graph.value_info[:]
    onnx.checker.check_model(network, full_check=True)
    return bytes(network.SerializeToString())


def take_pixels(
    model: bytes,
    *,
    height: int | str,
    width: int | str,
    mean: Sequence[float],
    deviation: Sequence[float],
    reverse_channels: bool,
) -> bytes:
    """Give a model the input ``pixels`` (n, height, width, 3) uint8 RGB.

    The new nodes move the channels first and compute (x - mean) / deviation. ``mean`` and ``deviation`` are in the
    model's own channel order. Set ``reverse_channels`` if that order is BGR.
    """
    network = _load(model)
    (entry,) = _true_inputs(network)
    name, prefix = entry.name, "likeness_pixels"
    nodes = [
        helper.make_node("Cast", [prefix], [f"{prefix}_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", [f"{prefix}_float"], [f"{prefix}_planes"], perm=[0, 3, 1, 2]),
    ]
    last = f"{prefix}_planes"
    if reverse_channels:
        network.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), f"{prefix}_order"))
        nodes.append(helper.make_node("Gather", [last, f"{prefix}_order"], [f"{prefix}_reversed"], axis=1))
        last = f"{prefix}_reversed"
    for operation, values, nothing in (("Sub", mean, 0), ("Div", deviation, 1)):
        if all(value == nothing for value in values):
            continue
        constant = np.array(values, np.float32).reshape(1, 3, 1, 1)
        network.graph.initializer.append(numpy_helper.from_array(constant, f"{prefix}_{operation}_values"))
        nodes.append(helper.make_node(operation, [last, f"{prefix}_{operation}_values"], [f"{prefix}_{operation}"]))
        last = f"{prefix}_{operation}"
    nodes[-1].output[0] = name
    network.graph.input.remove(entry)
    network.graph.input.insert(0, helper.make_tensor_value_info("pixels", TensorProto.UINT8, ("n", height, width, 3)))
    nodes[0].input[0] = "pixels"
    originals = list(network.graph.node)
    del network.graph.node[:]
    network.graph.node.extend([*nodes, *originals])
    onnx.checker.check_model(network, full_check=True)
    return bytes(network.SerializeToString())


def restore_weights(model: bytes) -> bytes:
    """Compute the float32 weights of a model that stores them in 8-bit blocks, so that the runtime need not.

    It also removes constants from the list of the model's inputs.
    """
    network = onnx.load_from_string(model)
    constants, kept = _restored_constants(network)
    read = {name for node in kept for name in node.input}
    given = [entry for entry in network.graph.input if entry.name not in constants and entry.name in read]
    del network.graph.node[:], network.graph.initializer[:], network.graph.input[:]
    network.graph.node.extend(kept)
    network.graph.input.extend(given)
    network.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in constants.items() if name in read
    )
    network.ir_version = max(network.ir_version, 4)
    return bytes(network.SerializeToString())


def restored_constants(model: bytes) -> dict[str, NDArray[Any]]:
    """Return the constants that the nodes of :func:`restore_weights` read, by name."""
    constants, kept = _restored_constants(onnx.load_from_string(model))
    read = {name for node in kept for name in node.input}
    return {name: values for name, values in constants.items() if name in read}


def _restored_constants(network: onnx.ModelProto) -> tuple[dict[str, NDArray[Any]], list[onnx.NodeProto]]:
    """Compute each DequantizeLinear with a ``block_size``, and each Reshape, where all its inputs are constants.

    Return all constants by name, and the other nodes.
    """
    constants = {constant.name: numpy_helper.to_array(constant) for constant in network.graph.initializer}
    kept = []
    for node in network.graph.node:
        values = [constants[name] for name in node.input if name in constants]
        if len(values) != len(node.input) or node.op_type not in {"DequantizeLinear", "Reshape"}:
            kept.append(node)
        elif node.op_type == "Reshape":
            constants[node.output[0]] = values[0].reshape(values[1])
        else:
            attributes = {attribute.name: attribute.i for attribute in node.attribute}
            constants[node.output[0]] = _restored(values, attributes["block_size"], attributes.get("axis", 1))
    return constants, kept


def _restored(values: Sequence[NDArray[Any]], block: int, axis: int) -> NDArray[np.float32]:
    """Return (integers - zeros) * steps, where each step and zero applies to ``block`` consecutive values."""
    integers, steps, zeros = values
    places = np.arange(integers.shape[axis]) // block
    restored = integers.astype(np.float32)
    restored -= zeros.take(places, axis).astype(np.float32)
    restored *= steps.take(places, axis)
    return restored


def _load(model: bytes) -> onnx.ModelProto:
    network = onnx.load_from_string(model)
    # Before version 4 a model must list every constant among its inputs; this module adds constants without that.
    network.ir_version = max(network.ir_version, 4)
    return network


def _true_inputs(network: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not constants. Older models list constants among the inputs."""
    constants = {constant.name for constant in network.graph.initializer}
    return [entry for entry in network.graph.input if entry.name not in constants]


def _constants(network: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    nodes = [node for node in network.graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]
    return {constant.name: numpy_helper.to_array(constant) for constant in network.graph.initializer} | {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in nodes
    }
