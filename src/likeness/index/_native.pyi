# What native/module.c gives; its sizes are checked there, its types are buffers of the dtypes named here.

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# (rows, pitch) uint8 codes and (rows,) uint32 terms of theirs; (rows, half_pitch) uint8 half codes and (rows,) uint32
# terms of theirs; (rows, d) float32 as given, (rows,) uint8 alive or None for all, row count.
_RowBlock: TypeAlias = tuple[
    NDArray[np.uint8],
    NDArray[np.uint32],
    NDArray[np.uint8],
    NDArray[np.uint32],
    NDArray[np.float32],
    NDArray[np.uint8] | None,
    int,
]

# The kernels this machine runs, best first: (name, largest absolute value of a query's factors).
def kernels() -> list[tuple[str, int]]: ...

# vectors (queries, d) float32; factors (queries, pitch) int8; wanted (queries,) int64, 0 for all; bounds (queries, 6)
# float64: step, allowance, length, slack, margin, minimum. Gives per query: int64 part << 32 | row, float64 score and
# float64 upper bound less the slack of each row, and the cut.
def scan(
    kernel: str,
    parts: tuple[_RowBlock, ...],
    vectors: NDArray[np.float32],
    factors: NDArray[np.int8],
    wanted: NDArray[np.int64],
    bounds: NDArray[np.float64],
    /,
) -> list[tuple[bytes, float]]: ...

# rows (n, d) float32, signs (d,) float32; writes codes (n, pitch) uint8, their terms (n,) uint32, halves (n,
# half_pitch) uint8 and their terms (n,) uint32. Gives the largest |rotated row - rounded row| / scale (of the codes),
# and the largest |rounded row| (of either).
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
