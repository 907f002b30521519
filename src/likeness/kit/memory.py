"""Return of unused memory to the system."""

import ctypes
from typing import Final

LARGE_BYTES: Final = 1 << 20
_M_MMAP_THRESHOLD: Final = -3
"""See mallopt(3)."""


def give_large_blocks_back() -> None:
    """Make the C library return each free block of ``LARGE_BYTES`` or more to the system. Call it before threads start.

    By default glibc keeps such blocks after the first one is free. After some photos of full size, the process then
    keeps half of its peak memory. Other C libraries return them, and do not have this call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
