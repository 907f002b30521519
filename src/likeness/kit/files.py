"""Files that are there whole or not at all, whatever breaks off, and for good once they are."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PRIVATE, PUBLIC = 0o600, 0o644


@contextmanager
def replacing(path: Path, *, mode: int = PRIVATE) -> Iterator[IO[bytes]]:
    """Write a file that takes its name, and the place of another, at the end of the block. Raises OSError."""
    with _part(path, mode) as file:
        yield file
        _sync(file)
        Path(file.name).replace(path)
    sync_folder(path.parent)


def create_whole(path: Path, content: bytes) -> None:
    """Write a new file for its owner alone.

    Raises OSError, FileExistsError where there is one: it is never replaced.
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
    """Have the names in a folder on the disk for good. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
