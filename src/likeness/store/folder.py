"""Objects as files of a folder. An object is durable when its ``put`` returns.

obstore's local store renames a finished file into place, but does not flush it to the disk. So a power failure can
leave an empty file under a committed name. Here an acknowledged object must survive a power failure. So file and folder
are fsynced.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from likeness.kit.files import replacing, sync_folder

PART = ".part"
"""Ending of a file that is being written. A crash can leave such a file. No entry refers to it."""


class FolderStore:
    """Objects named ``space/name`` in a folder that only its owner can read.

    The methods block. Several threads may use it at once, each with another name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()
        _make(root, parents=True)

    def put(self, space: str, name: str, content: bytes) -> None:
        """Write an object. It is durable when this returns. Raises OSError, and then leaves no file."""
        folder = self._open_space(space)
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

    def replace(self, space: str, name: str, content: bytes) -> None:
        """Replace an object. If this fails, the earlier one stays. Raises OSError."""
        with replacing(self._open_space(space) / name) as file:
            file.write(content)

    def get(self, space: str, name: str) -> bytes | None:
        """Give an object's bytes, or None. Raises OSError."""
        try:
            return (self._root / space / name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, space: str, name: str) -> None:
        """Delete an object durably. A missing object is no error. Raises OSError."""
        folder = self._root / space
        with suppress(FileNotFoundError):
            (folder / name).unlink()
            sync_folder(folder)

    def move(self, name: str, space: str, target: str) -> None:
        """Move an object to another space, and set its time to now. A missing object is no error. Raises OSError."""
        source, goal = self._root / space, self._open_space(target)
        with suppress(FileNotFoundError):
            os.utime(source / name)
            (source / name).replace(goal / name)
            sync_folder(goal)
            sync_folder(source)

    def batches(self, space: str, *, size: int = 1000) -> Iterator[list[str]]:
        """Give batches of the names of a space's objects, with unfinished ones. Raises OSError."""
        for batch in self._entries(space, size):
            yield [entry.name for entry in batch]

    def dated(self, space: str, *, size: int = 1000) -> Iterator[list[tuple[str, float]]]:
        """Give batches of the names of a space's objects, each with the time of its ``put`` or ``move``.

        Times are seconds since the Unix epoch. Raises OSError.
        """
        for batch in self._entries(space, size):
            yield [(entry.name, entry.stat().st_mtime) for entry in batch]

    def _entries(self, space: str, size: int) -> "Iterator[list[os.DirEntry[str]]]":
        try:
            listing = os.scandir(self._root / space)
        except FileNotFoundError:
            return
        with listing:
            there = (entry for entry in listing if not _is_empty_folder(entry))
            while batch := list(islice(there, size)):
                yield batch

    def _open_space(self, space: str) -> Path:
        """Give a space's folder. Make it durably if it is missing."""
        folder = self._root / space
        if space not in self._made:
            above = self._root
            for part in Path(space).parts:
                _make(above / part)
                sync_folder(above)
                above /= part
            self._made.add(space)
        return folder


def _is_empty_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder without objects. An object store has none, so here it counts as none, too."""
    if not entry.is_dir():
        return False
    with os.scandir(entry) as below:
        return next(below, None) is None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make(folder: Path, *, parents: bool = False) -> None:
    folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
