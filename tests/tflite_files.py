"""Small TensorFlow Lite files, written by the field numbers of TensorFlow's schema."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

CODES = {"Add": 0, "Conv": 3, "DepthwiseConv": 4, "Dequantize": 6, "Softmax": 25, "MaxPool": 17, "Pad": 34, "PRelu": 54}
_TYPES = {"float32": 0, "float16": 1, "int32": 2}
_ACTIVATION = {"Conv": 3, "DepthwiseConv": 4, "MaxPool": 5}
_FIELDS = 6


@dataclass(slots=True)
class TfliteFile:
    """A network to build. Tensor 0 is the input. Constants and operations get tensor numbers from 1."""

    tensors: list[np.ndarray | None] = field(default_factory=lambda: [None])
    steps: list[tuple[str, list[int], int, dict[str, int]]] = field(default_factory=list)

    def constant(self, values: np.ndarray) -> int:
        self.tensors.append(values)
        return len(self.tensors) - 1

    def half(self, values: np.ndarray) -> int:
        """Add values in 16 bits, with the operation that converts them to 32 bits."""
        return self.step("Dequantize", self.constant(values.astype(np.float16)))

    def step(self, kind: str, *inputs: int, **options: int) -> int:
        self.tensors.append(None)
        self.steps.append((kind, list(inputs), len(self.tensors) - 1, options))
        return len(self.tensors) - 1

    def content(self, outputs: Sequence[int]) -> bytes:
        builder = flatbuffers.Builder()
        kinds = list(CODES)
        codes = [_table(builder, {0: ("Int8", CODES[kind]), 3: ("Int32", CODES[kind])}) for kind in kinds]
        # The first buffer is empty, and all computed tensors use it.
        contents = [None, *(tensor for tensor in self.tensors if tensor is not None)]
        buffers = [
            _table(builder, {0: ("UOffsetTRelative", builder.CreateNumpyVector(content.view(np.uint8).ravel()))})
            if content is not None
            else _table(builder, {})
            for content in contents
        ]
        places = iter(range(1, len(contents)))
        tensors = [self._tensor(builder, tensor, places) for tensor in self.tensors]
        steps = [self._step(builder, kinds, *step) for step in self.steps]
        network = _table(
            builder,
            {
                0: ("UOffsetTRelative", _offsets(builder, tensors)),
                1: ("UOffsetTRelative", _numbers(builder, [0])),
                2: ("UOffsetTRelative", _numbers(builder, outputs)),
                3: ("UOffsetTRelative", _offsets(builder, steps)),
            },
        )
        parts = {1: codes, 2: [network], 4: buffers}
        vectors = {at: ("UOffsetTRelative", _offsets(builder, tables)) for at, tables in parts.items()}
        builder.Finish(_table(builder, {0: ("Uint32", 3)} | vectors), file_identifier=b"TFL3")
        return bytes(builder.Output())

    @staticmethod
    def _tensor(builder: Any, values: np.ndarray | None, places: Any) -> int:
        if values is None:
            return _table(builder, {})
        shape = _numbers(builder, values.shape)
        kind = _TYPES[values.dtype.name]
        return _table(builder, {0: ("UOffsetTRelative", shape), 1: ("Int8", kind), 2: ("Uint32", next(places))})

    @staticmethod
    def _step(
        builder: Any, kinds: list[str], kind: str, inputs: list[int], output: int, options: dict[str, int]
    ) -> int:
        fields = {0: ("Int8", options.get("padding", 0)), 1: ("Int32", options.get("stride", 1))}
        fields[2] = ("Int32", options.get("stride_down", options.get("stride", 1)))
        if kind in _ACTIVATION:
            fields[_ACTIVATION[kind]] = ("Int8", options.get("activation", 0))
        described = _table(builder, fields)
        return _table(
            builder,
            {
                0: ("Uint32", kinds.index(kind)),
                1: ("UOffsetTRelative", _numbers(builder, inputs)),
                2: ("UOffsetTRelative", _numbers(builder, [output])),
                4: ("UOffsetTRelative", described),
            },
        )


def _table(builder: Any, fields: dict[int, tuple[str, int]]) -> int:
    builder.StartObject(_FIELDS)
    for at, (kind, value) in fields.items():
        if value:
            getattr(builder, f"Prepend{kind}Slot")(at, value, 0)
    return int(builder.EndObject())


def _numbers(builder: Any, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, np.int32)))


def _offsets(builder: Any, tables: Sequence[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())
