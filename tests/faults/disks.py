"""Disks that fill up, refuse every write or turn read-only, made with what the machine allows."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from processes import ServerProcess


class Disk(Protocol):
    """Where a server's data lies, and the fault it can be given."""

    folder: Path

    def fail(self, server: ServerProcess) -> None:
        """Take no more from now on."""
        ...

    def recover(self, server: ServerProcess) -> None: ...


class FullDisk:
    """A small file system in memory, stuffed to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fail(self, _server: ServerProcess) -> None:
        size = 1 << 20
        with (self.folder / "stuffing").open("wb", buffering=0) as file:
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def recover(self, _server: ServerProcess) -> None:
        (self.folder / "stuffing").unlink()


class RefusingDisk:
    """Any disk, seen by a process whose files may not grow or be written at all; it needs no rights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fail(self, server: ServerProcess) -> None:
        assert server.process
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def recover(self, server: ServerProcess) -> None:
        assert server.process
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class ReadOnlyDisk:
    """An ext4 file system in a file, which the kernel turns read-only as it does after a fault of the device."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image

    def fail(self, _server: ServerProcess) -> None:
        subprocess.run(["mount", "-o", "remount,abort", self.folder], check=True)

    def recover(self, server: ServerProcess) -> None:
        """Stop the server, check the file system and mount it again; the server is started again too."""
        server.kill()
        subprocess.run(["umount", self.folder], check=True)
        subprocess.run(["e2fsck", "-p", self._image], check=False, capture_output=True)
        self.mount()
        server.start()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self._image, self.folder], check=True)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Disk]:
    _demand("mount")
    _mount(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder])
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def refusing_disk(folder: Path) -> Iterator[Disk]:
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit the files of a running process (prlimit)")
    yield RefusingDisk(folder)


@contextlib.contextmanager
def read_only_disk(folder: Path) -> Iterator[Disk]:
    _demand("mount", "mkfs.ext4", "e2fsck")
    image = folder.with_suffix(".ext4")
    image.write_bytes(b"")
    os.truncate(image, 48 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    disk = ReadOnlyDisk(image, folder)
    _mount(["mount", "-o", "loop,errors=remount-ro", image, folder])
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _demand(*commands: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own takes root; the refusing disk covers the same calls without")
    missing = [
        command for command in commands if not shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    ]
    if missing:
        pytest.skip(f"this machine has no {', '.join(missing)}")


def _mount(command: list[object]) -> None:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine does not let us mount: {done.stderr.strip()}")
