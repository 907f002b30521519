"""Reading TensorFlow Lite files: the operations of a network in their order, and its constants.

A file is a FlatBuffer: tables whose fields are found by number, at places that the table's own directory tells. Only
the fields that are needed here are read; their numbers are those of TensorFlow's ``schema.fbs``.
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
"""The operations that have a stride, and the field of the activation that follows them within the operation."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step: what it takes and gives, as numbers of tensors."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    stride: int = 1
    same: bool = False
    """Whether the picture is padded so that each stride gives one value; else it is not padded."""


@dataclass(frozen=True, slots=True)
class Model:
    """One network: tensors are numbers, and pictures lie as (n, rows, columns, channels)."""

    inputs: Sequence[int]
    outputs: Sequence[int]
    operations: Sequence[Operation]
    constants: Mapping[int, NDArray[Any]]


def read_model(file: bytes) -> Model:
    """Read a file with one network. Raises SetupError for another file, and for an operation that is not known here."""
    if file[4:8] != _IDENTIFIER:
        raise SetupError("This is no TensorFlow Lite file.")
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
        raise SetupError(f"The operation {code} of a TensorFlow Lite file is not known.")
    if kind not in _CONVOLUTIONS:
        return Operation(kind, inputs, outputs)
    options = step.table(4)
    if options.number(1, "<i") != options.number(2, "<i") or options.number(_CONVOLUTIONS[kind], "<b"):
        raise SetupError("Convolutions with two strides, or with an activation of their own, are not known.")
    return Operation(kind, inputs, outputs, options.number(2, "<i"), same=options.number(0, "<b") == 0)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer: its fields by number; one that is absent is 0 or empty."""

    file: bytes
    start: int

    @classmethod
    def at(cls, file: bytes, place: int) -> "_Table":
        """Give the table that the offset at ``place`` leads to."""
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
        """Give where a field lies; 0 for one that is absent."""
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
