"""Ownership of a data folder's galleries by one process, or by servers that share them.

An owner that holds the galleries in memory would not find the changes of another process. So it holds a lock on a file
of the folder. The kernel releases the lock when the process ends, also after a crash. Servers that search in shards
share the lock.
"""

import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from likeness.errors import SetupError

LOCK_FILE = "owner.lock"
_TRIES = 20
_PAUSE_SECONDS = 0.05
"""``is_owned`` holds the lock for a moment, so a failed try is repeated."""


@contextmanager
def owned(data_dir: Path, *, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Own a data folder within the block. Raises SetupError if another process owns it.

    ``wait`` waits for that process to end instead. ``shared`` lets others own it that share it, too.
    """
    descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, data_dir, wait=wait, how=fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_owned(data_dir: Path) -> bool:
    """Whether a process, such as a running server, owns a data folder."""
    try:
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, data_dir: Path, *, wait: bool, how: int) -> None:
    for _ in itertools.count() if wait else range(_TRIES):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    owner = os.pread(descriptor, 32, 0).decode() or "unknown"
    raise SetupError(
        f"another process (pid {owner}) runs on the data folder {data_dir}, such as `likeness serve`: stop it first"
    )
