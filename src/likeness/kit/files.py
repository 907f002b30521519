"""Files that exist whole or not at all, also after a crash, and are durable once they exist."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PRIVATE, PUBLIC = 0o600, 0o644


@contextmanager
def replacing(path: Path, *, mode: int = PRIVATE) -> Iterator[IO[bytes]]:
    """Write a file. At the end of the block it gets its name, and replaces an earlier file. Raises OSError."""
    with _part(path, mode) as file:
        yield file
        _sync(file)
        Path(file.name).replace(path)
    sync_folder(path.parent)


def create_whole(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises OSError, and FileExistsError if the file exists: it is never replaced.
    """
    with _part(path, PRIVATE) as file:
        file.write(content)
        _sync(file)
        os.link(file.name, path)
    sync_folder(path.parent)


@contextmanager
def _part(path: Path, mode: int) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            os.fchmod(file.fileno(), mode)
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
