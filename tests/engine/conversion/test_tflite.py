from typing import Any

import numpy as np
import pytest

from likeness.engine.conversion.tflite import Operation, read_model
from likeness.errors import SetupError
from tflite_files import TfliteFile

WEIGHTS = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)


def small(**options: int) -> bytes:
    file = TfliteFile()
    bias = file.constant(np.array([1, -1], np.float32))
    convolved = file.step("Conv", 0, file.half(WEIGHTS), bias, **options)
    return file.content([convolved])


def test_operations_and_constants_are_read() -> None:
    model = read_model(small(stride=2, padding=1))
    assert (model.inputs, model.outputs) == ([0], [4])
    assert model.operations == [
        Operation("Dequantize", [2], [3]),
        Operation("Conv", [0, 3, 1], [4], stride=2, same=False),
    ]
    assert sorted(model.constants) == [1, 2]
    assert model.constants[1].tolist() == [1, -1]
    assert model.constants[2].dtype == np.float16
    assert np.array_equal(model.constants[2], WEIGHTS)


def test_fields_that_are_absent_have_their_defaults() -> None:
    (_, convolution) = read_model(small()).operations
    assert convolution == Operation("Conv", [0, 3, 1], [4], stride=1, same=True)


@pytest.mark.parametrize("options", [{"activation": 1}, {"stride": 2, "stride_down": 1}])
def test_what_would_be_converted_wrongly_is_refused(options: Any) -> None:
    with pytest.raises(SetupError, match="not supported"):
        read_model(small(**options))


def test_an_unknown_operation_is_refused() -> None:
    file = TfliteFile()
    with pytest.raises(SetupError, match="operation 25"):
        read_model(file.content([file.step("Softmax", 0)]))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x08\0\0\0TFL2" + bytes(40)])
def test_another_file_is_refused(content: Any) -> None:
    with pytest.raises(SetupError, match="not a TensorFlow Lite file"):
        read_model(content)
