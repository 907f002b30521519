"""The inference runtime: ONNX models on ONNX Runtime, which many threads can run at the same time."""

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from likeness.errors import SetupError

Provider = Literal["cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_SILENT = 4
_AVX512_VNNI = 23
"""CPU_AVX_512VNNI of OpenCV's ``cvdef.h``. OpenCV's Python module has no name for it."""
_LARGE_INPUT_BYTES = 1 << 20
"""The size of all inputs from which a run is large. The detector's finest search is larger; other runs are smaller."""


def _giving_back() -> Any:
    """Return the options of a run that gives unused memory back to the system at its end.

    The runtime keeps the memory of a run for the next one, which makes small runs a fifth faster. After a run on a
    large picture it would keep 100 MB.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


_GIVING_BACK = _giving_back()


def multiplies_bytes_fast() -> bool:
    """Whether this processor has AVX-512 VNNI.

    The runtime then multiplies bytes about four times as fast as float32, and the result is exact.
    """
    return bool(cv2.checkHardwareSupport(_AVX512_VNNI))


class Network:
    """One loaded model. Any number of calls can run at the same time, and each uses at most ``threads`` threads."""

    def __init__(self, model: bytes, *, threads: int = 1, provider: Provider = "cpu") -> None:
        wanted = _PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise SetupError(
                f"This ONNX Runtime has no {wanted}. Replace onnxruntime by onnxruntime-gpu, or set "
                "LIKENESS_PROVIDER=cpu. Uninstall onnxruntime first, because both use one folder."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # A thread that waits for work must not use a core that another photo needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=[wanted])
        except Exception as error:  # the runtime raises its own unrelated exception types
            raise SetupError(f"A model could not be loaded: {error}") from error
        # If a provider cannot start, for example without a driver, the runtime uses the CPU and raises no error.
        if self._session.get_providers()[0] != wanted:
            raise SetupError(
                f"{wanted} could not start. Check the driver and the CUDA libraries, or set LIKENESS_PROVIDER=cpu."
            )
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())
        self.inputs: Mapping[str, tuple[int | str | None, ...]] = {
            entry.name: tuple(entry.shape) for entry in self._session.get_inputs()
        }

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Run the model once, with inputs and outputs by name."""
        large = sum(array.nbytes for array in inputs.values()) > _LARGE_INPUT_BYTES
        outputs = self._session.run(None, inputs, _GIVING_BACK if large else None)
        return dict(zip(self.outputs, outputs, strict=True))
