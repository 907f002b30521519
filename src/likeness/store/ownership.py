"""One process owns a data folder's galleries: it holds them in memory, and what another wrote would not be found.

The owner holds a lock on a file of the folder. The kernel lets go of it when the process ends, however it ends.
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
"""Somebody who only looks holds the lock for a moment."""


@contextmanager
def owned(data_dir: Path, *, wait: bool = False) -> Iterator[None]:
    """Own a data folder within the block; ``wait`` for another process that does. Raises SetupError when one does."""
    descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, data_dir, wait=wait)
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
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, data_dir: Path, *, wait: bool) -> None:
    for _ in itertools.count() if wait else range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    owner = os.pread(descriptor, 32, 0).decode() or "unknown"
    raise SetupError(
        f"another process (pid {owner}) runs on the data folder {data_dir}, such as `likeness serve`: stop it first"
    )
