import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from likeness.engine.conversion.graph import Graph
from likeness.engine.runtime import Network, multiplies_bytes_fast
from likeness.errors import SetupError


def doubling() -> bytes:
    graph = Graph("doubling")
    output = graph.add("Mul", "x", graph.constant(np.array([2], np.float32)))
    return graph.build({"x": (TensorProto.FLOAT, ("n",))}, {"y": (output, ("n",))})


def test_many_threads_share_one_network() -> None:
    network = Network(doubling())
    values = [np.full(3, number, np.float32) for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        for value, answer in zip(values, pool.map(lambda value: network.run(x=value), values), strict=True):
            assert answer["y"].tolist() == (2 * value).tolist()


@pytest.mark.parametrize("model", [b"", b"not a model"])
def test_what_is_no_model(model: bytes) -> None:
    with pytest.raises(SetupError):
        Network(model)


def test_a_missing_gpu_is_said_at_start() -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(SetupError, match="onnxruntime-gpu"):
        Network(doubling(), provider="cuda")


def test_a_provider_that_falls_back_in_silence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(SetupError), pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        Network(doubling(), provider="cuda")


def test_the_processor_is_asked_for_what_the_system_says_it_has() -> None:
    processors = Path("/proc/cpuinfo")
    if not processors.exists():
        pytest.skip("this system does not list the features of its processors")
    assert multiplies_bytes_fast() == ("avx512_vnni" in processors.read_text().split())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux reports a process's memory here")
def test_what_a_large_picture_took_is_given_back() -> None:
    graph = Graph("largest")
    largest = graph.add("ReduceMax", graph.add("Mul", "x", graph.constant(np.array([2], np.float32))), keepdims=0)
    network = Network(graph.build({"x": (TensorProto.FLOAT, ("n",))}, {"y": (largest, ())}))
    network.run(x=np.ones(1, np.float32))
    picture = np.ones(32 << 20, np.float32)
    before = resident_bytes()
    assert network.run(x=picture)["y"] == 2
    assert resident_bytes() - before < picture.nbytes // 4


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
