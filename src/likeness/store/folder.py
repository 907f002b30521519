"""Objects as files of a folder, each on the disk for good when its ``put`` returns.

obstore's own local store renames a finished file into place but leaves it to the system to write it out: a power failure can
leave an empty file under a committed name. What is acknowledged here must survive one, so file and folder are fsynced.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from likeness.kit.files import sync_folder

PART = ".part"
"""Ending of a file that is being written; one left behind by a crash is an object nobody refers to."""


class FolderStore:
    """Objects named ``space/name`` in a folder that only its owner reads. Blocks; thread-safe for distinct names."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()
        _make(root, parents=True)

    def put(self, space: str, name: str, content: bytes) -> None:
        """Write an object, durable when this returns. Raises OSError and then leaves nothing behind."""
        folder = self._root / space
        if space not in self._made:
            _make(folder)
            sync_folder(self._root)
            self._made.add(space)
        part, whole = folder / f"{name}{PART}", folder / name
        try:
            with open(part, "xb", opener=_private, buffering=0) as file:
                unwritten = memoryview(content)
                while unwritten:
                    unwritten = unwritten[file.write(unwritten) :]
                os.fsync(file.fileno())
            part.replace(whole)
            sync_folder(folder)
        except OSError:
            for path in (part, whole):
                with suppress(OSError):
                    path.unlink()
            raise

    def get(self, space: str, name: str) -> bytes | None:
        """Give an object's bytes, or None. Raises OSError."""
        try:
            return (self._root / space / name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, space: str, name: str) -> None:
        """Delete an object, for good when this returns; one that is not there is as good as deleted. Raises OSError."""
        folder = self._root / space
        with suppress(FileNotFoundError):
            (folder / name).unlink()
            sync_folder(folder)

    def batches(self, space: str, *, size: int = 1000) -> Iterator[list[str]]:
        """Give the names of a space's objects, unfinished ones included. Raises OSError."""
        try:
            listing = os.scandir(self._root / space)
        except FileNotFoundError:
            return
        with listing:
            while batch := [entry.name for entry in islice(listing, size)]:
                yield batch


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make(folder: Path, *, parents: bool = False) -> None:
    folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
