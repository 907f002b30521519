"""Reader of TensorFlow Lite files: the operations of a network in their order, and its constants.

A file is a FlatBuffer: tables with numbered fields, and each table has a directory of their places. This module reads
only the fields that it needs. TensorFlow's ``schema.fbs`` defines their numbers.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.errors import SetupError

_IDENTIFIER: Final = b"TFL3"
_OPERATIONS: Final = MappingProxyType(
    {
        0: "Add",
        3: "Conv",
        4: "DepthwiseConv",
        6: "Dequantize",
        14: "Logistic",
        17: "MaxPool",
        22: "Reshape",
        34: "Pad",
        54: "PRelu",
    }
)
_TYPES: Final = MappingProxyType({0: "<f4", 1: "<f2", 2: "<i4"})
_CONVOLUTIONS: Final = MappingProxyType({"Conv": 3, "DepthwiseConv": 4, "MaxPool": 5})
"""The operations that have a stride, with the number of their activation's field."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a network. Inputs and outputs are numbers of tensors."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    stride: int = 1
    same: bool = False
    """Whether the picture is padded so that each stride gives one value. Otherwise there is no padding."""


@dataclass(frozen=True, slots=True)
class Model:
    """One network. Inputs and outputs are numbers of tensors; pictures are (n, rows, columns, channels)."""

    inputs: Sequence[int]
    outputs: Sequence[int]
    operations: Sequence[Operation]
    constants: Mapping[int, NDArray[Any]]


def read_model(file: bytes) -> Model:
    """Read a file with one network. Raises SetupError for another format, or for an operation that it does not know."""
    if file[4:8] != _IDENTIFIER:
        raise SetupError("The file is not a TensorFlow Lite file.")
    root = _Table.at(file, 0)
    kinds = [max(code.number(0, "<b"), code.number(3, "<i")) for code in root.tables(1)]
    (network,) = root.tables(2)
    buffers = [buffer.array(0, "<u1") for buffer in root.tables(4)]
    constants = {}
    for index, tensor in enumerate(network.tables(0)):
        content = buffers[tensor.number(2, "<I")]
        if content.size:
            values = content.view(_TYPES[tensor.number(1, "<b")])
            constants[index] = values.reshape(tensor.array(0, "<i4"))
    return Model(
        inputs=network.array(1, "<i4").tolist(),
        outputs=network.array(2, "<i4").tolist(),
        operations=[_operation(step, kinds[step.number(0, "<I")]) for step in network.tables(3)],
        constants=constants,
    )


def _operation(step: "_Table", code: int) -> Operation:
    inputs, outputs = step.array(1, "<i4").tolist(), step.array(2, "<i4").tolist()
    kind = _OPERATIONS.get(code)
    if kind is None:
        raise SetupError(f"The operation {code} of a TensorFlow Lite file is not supported.")
    if kind not in _CONVOLUTIONS:
        return Operation(kind, inputs, outputs)
    options = step.table(4)
    if options.number(1, "<i") != options.number(2, "<i") or options.number(_CONVOLUTIONS[kind], "<b"):
        raise SetupError("Convolutions with two different strides, or with an activation, are not supported.")
    return Operation(kind, inputs, outputs, options.number(2, "<i"), same=options.number(0, "<b") == 0)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer, with its fields by number. An absent field is 0 or empty."""

    file: bytes
    start: int

    @classmethod
    def at(cls, file: bytes, place: int) -> "_Table":
        """Return the table at the offset that ``place`` holds."""
        return cls(file, place + _number(file, place, "<I"))

    def number(self, field: int, kind: str) -> int:
        place = self._place(field)
        return _number(self.file, place, kind) if place else 0

    def table(self, field: int) -> "_Table":
        return _Table.at(self.file, self._place(field))

    def tables(self, field: int) -> "list[_Table]":
        vector = self._vector(field)
        return [_Table.at(self.file, vector + 4 * entry) for entry in range(1, self._length(vector) + 1)]

    def array(self, field: int, kind: str) -> NDArray[Any]:
        vector = self._vector(field)
        return np.frombuffer(self.file, kind, self._length(vector), vector + 4)

    def _place(self, field: int) -> int:
        """Return the place of a field, or 0 if it is absent."""
        directory = self.start - _number(self.file, self.start, "<i")
        if 4 + 2 * field >= _number(self.file, directory, "<H"):
            return 0
        offset = _number(self.file, directory + 4 + 2 * field, "<H")
        return self.start + offset if offset else 0

    def _vector(self, field: int) -> int:
        place = self._place(field)
        return place + _number(self.file, place, "<I") if place else 0

    def _length(self, vector: int) -> int:
        return _number(self.file, vector, "<I") if vector else 0


def _number(file: bytes, place: int, kind: str) -> int:
    (value,) = struct.unpack_from(kind, file, place)
    return int(value)
