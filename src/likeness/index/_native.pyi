# The types of native/module.c. That module checks all sizes. It takes buffers of the dtypes named here.

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# (rows, pitch) uint8 codes and their (rows,) uint32 terms; (rows, half_pitch) uint8 half codes and their (rows,) uint32
# terms; (rows, d) float32 templates as given, or None if they are not in memory; (rows,) uint8 alive, or None for all;
# row count.
_RowBlock: TypeAlias = tuple[
    NDArray[np.uint8],
    NDArray[np.uint32],
    NDArray[np.uint8],
    NDArray[np.uint32],
    NDArray[np.float32] | None,
    NDArray[np.uint8] | None,
    int,
]

# The kernels that this machine can run, best first: (name, largest absolute value of a query's factors).
def kernels() -> list[tuple[str, int]]: ...

# vectors (queries, d) float32; factors (queries, pitch) int8; wanted (queries,) int64, 0 for all; bounds (queries, 7)
# float64: step, allowance, length, tolerance, margin, minimum, doubt. Gives for each query its rows and its cut. Each
# row is int64 part << 32 | row, float64 score, and float64 upper bound less the tolerance. If its template is not in
# memory, the score is an estimate.
def scan(
    kernel: str,
    parts: tuple[_RowBlock, ...],
    vectors: NDArray[np.float32],
    factors: NDArray[np.int8],
    wanted: NDArray[np.int64],
    bounds: NDArray[np.float64],
    /,
) -> list[tuple[bytes, float]]: ...

# rows (n, d) float32, signs (d,) float32. Writes codes (n, pitch) uint8, their terms (n,) uint32, halves (n,
# half_pitch) uint8 and their terms (n,) uint32. Gives two numbers: the largest |rotated row - rounded row| / scale of
# the codes, and the largest |rounded row| of codes and half codes.
def encode(
    rows: NDArray[np.float32],
    signs: NDArray[np.float32],
    limit: int,
    codes: NDArray[np.uint8],
    terms: NDArray[np.uint32],
    halves: NDArray[np.uint8],
    half_terms: NDArray[np.uint32],
    /,
) -> tuple[float, float]: ...
