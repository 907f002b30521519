"""The one inference runtime: ONNX models on ONNX Runtime, safe to run from many threads at once."""

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
"""CPU_AVX_512VNNI of OpenCV's ``cvdef.h``, which its Python does not name."""
_LARGE_INPUT_BYTES = 1 << 20
"""Of all inputs of one run. The detector's last look takes more; its first two looks and other networks take less."""


def _giving_back() -> Any:
    """Give the options of a run that returns unused memory to the system at its end.

    The runtime keeps what a run took, for the next one. That makes small runs a fifth faster. After a run on a large
    picture it would keep 100 MB.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


_GIVING_BACK = _giving_back()


def multiplies_bytes_fast() -> bool:
    """Whether this processor has AVX-512 VNNI.

    The runtime then multiplies bytes some four times as fast as float32, and exactly.
    """
    return bool(cv2.checkHardwareSupport(_AVX512_VNNI))


class Network:
    """One loaded model; ``threads`` is what one call may use, and any number of calls may run side by side."""

    def __init__(self, model: bytes, *, threads: int = 1, provider: Provider = "cpu") -> None:
        wanted = _PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise SetupError(
                f"This ONNX Runtime has no {wanted}. Put onnxruntime-gpu in the place of onnxruntime (uninstall that "
                "first: they share a folder), or set LIKENESS_PROVIDER=cpu."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # A thread that waits for work must not burn a core that another photo could use.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=[wanted])
        except Exception as error:  # the runtime raises its own unrelated exception types
            raise SetupError(f"A model could not be loaded: {error}") from error
        # The runtime falls back to the CPU in silence when a provider cannot start, e.g. for want of a driver.
        if self._session.get_providers()[0] != wanted:
            raise SetupError(
                f"{wanted} could not start; look at the driver and CUDA libraries, or set provider to cpu."
            )
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())
        self.inputs: Mapping[str, tuple[int | str | None, ...]] = {
            entry.name: tuple(entry.shape) for entry in self._session.get_inputs()
        }

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Run once; inputs and outputs by name."""
        large = sum(array.nbytes for array in inputs.values()) > _LARGE_INPUT_BYTES
        outputs = self._session.run(None, inputs, _GIVING_BACK if large else None)
        return dict(zip(self.outputs, outputs, strict=True))
