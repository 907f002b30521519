"""What the process does with memory that it needs no more."""

import ctypes
from typing import Final

LARGE_BYTES: Final = 1 << 20
_M_MMAP_THRESHOLD: Final = -3
"""See mallopt(3)."""


def give_large_blocks_back() -> None:
    """Return each block of ``LARGE_BYTES`` and more to the system once it is free. Call it before there are threads.

    glibc by itself keeps such blocks once one was freed: after some photos of full size, half the memory at the peak
    stays with the process. Other C libraries do well, and have no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
