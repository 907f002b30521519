"""Vectors for searches, and every scan that this machine can run."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index import compiled
from likeness.index.faiss_scan import FaissScan
from likeness.index.scans import CompiledScan, Scan

KERNELS = [name for name, _ in compiled.kernels()] if compiled.BUILT else []


@pytest.fixture(params=[*KERNELS, "faiss"])
def make_scan(request: pytest.FixtureRequest) -> Callable[[int], Scan]:
    """Give a scan for a dimension: each compiled kernel in turn, then faiss's scan."""
    return lambda dimension: FaissScan(dimension) if request.param == "faiss" else CompiledScan(request.param)


@pytest.fixture
def faces() -> Callable[..., NDArray[np.float32]]:
    """Make unit vectors like templates: identities at random places, and several photos close to each of them."""

    def make(count: int, dimension: int, *, photos: int = 4, spread: float = 0.6, seed: int = 0) -> NDArray[np.float32]:
        random = np.random.default_rng((seed, dimension))
        identities = random.standard_normal((-(-count // photos), dimension))
        rows = np.repeat(identities, photos, axis=0)[:count] + spread * random.standard_normal((count, dimension))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return make
