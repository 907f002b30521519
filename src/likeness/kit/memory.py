"""The memory of the process: what goes back to the system, and who may read it."""

import ctypes
import logging
import os
import resource
from typing import Final

log = logging.getLogger("likeness")
LARGE_BYTES: Final = 1 << 20
_M_MMAP_THRESHOLD: Final = -3
"""See mallopt(3)."""
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
"""See prctl(2)."""


def give_large_blocks_back() -> None:
    """Make the C library return each free block of ``LARGE_BYTES`` or more to the system. Call it before threads start.

    By default glibc keeps such blocks after the first one is free. After some photos of full size, the process then
    keeps half of its peak memory. Other C libraries return them, and do not have this call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def harden_process() -> None:
    """Forbid core dumps, other processes of the user that read this memory, and programs with more rights than this.

    Processes that it starts later inherit all but the second. Only Linux has the last two.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is None:
        return
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if prctl(option, value, 0, 0, 0):
            log.warning("the process cannot be protected (prctl %d): %s", option, os.strerror(ctypes.get_errno()))
