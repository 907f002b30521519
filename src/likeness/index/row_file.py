"""Templates in a file, for galleries that are larger than the memory.

A search reads the templates of a few dozen rows: those that the codes cannot tell from its answers. So templates can be
on a disk, while the codes stay in memory.

Templates are personal, so nobody else may read them. The file has no name, and other users cannot open it. The system
frees its blocks when the process ends, also after a crash. Each row is encrypted with AES-256-GCM, under a key that
exists only in the memory of this process. So the blocks of the disk reveal nothing. Each write of a row has a new
number, its nonce, which stays in memory. So a place can be written again. A row that the disk changed does not open,
and neither does an earlier row of the same place.

The file is read with ``pread``, and not as mapped memory. So other threads run while one waits for the disk. A fault of
the disk is then an OSError, and does not end the process.
"""

import errno
import os
import tempfile
import weakref
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import ArrayLike, NDArray

_KEY_BITS = 256
_NONCE_BYTES, _TAG_BYTES = 12, 16
_WRITE_ROWS = 1024
"""Rows that one call to the system writes."""

Which = int | np.integer | slice | NDArray[np.int64]
"""Rows of a segment, as an array is indexed; a slice is of neighbours."""


class RowFile:
    """Float32 rows (n, d) of one table, in segments of ``segment_rows``. One writer at a time, any number of readers.

    ``folder`` is on the disk that holds the file. Raises OSError when it takes none.
    """

    def __init__(self, folder: Path, dimension: int, segment_rows: int) -> None:
        self.dimension = dimension
        self.segment_rows = segment_rows
        self._row_bytes = 4 * dimension + _TAG_BYTES
        self._cipher = AESGCM(AESGCM.generate_key(_KEY_BITS))
        self._writes = 0
        self._segments: dict[int, FiledRows] = {}
        self._file = _nameless_file(folder)
        weakref.finalize(self, os.close, self._file)

    def __contains__(self, segment: int) -> bool:
        return segment in self._segments

    def segment(self, number: int) -> "FiledRows":
        """Give the rows of a segment, with room for them on the disk. Raises OSError when there is none."""
        if number not in self._segments:
            self.reserve((number + 1) * self.segment_rows)
            self._segments[number] = FiledRows(self, number * self.segment_rows)
        return self._segments[number]

    def reserve(self, rows: int) -> None:
        """Take room for so many rows in all. Raises OSError when the disk has less."""
        size, present = rows * self._row_bytes, os.fstat(self._file).st_size
        if size <= present:
            return
        system = os.fstatvfs(self._file)
        if size - present > system.f_bavail * system.f_frsize:  # checked first: to try would fill the disk for a moment
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(self._file, present, size - present)
            except OSError as error:
                if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:  # the file system has no such call
                    os.ftruncate(self._file, present)
                    raise
        os.ftruncate(self._file, size)

    def cut(self, segments: int) -> None:
        """Give back the room of the segments from this number on. No reader may use them."""
        for number in [number for number in self._segments if number >= segments]:
            del self._segments[number]
        size = segments * self.segment_rows * self._row_bytes
        if os.fstat(self._file).st_size > size:
            os.ftruncate(self._file, size)

    def write(self, first: int, rows: NDArray[np.float32]) -> NDArray[np.uint64]:
        """Write rows (n, d) to neighbouring places. Give the number (n,) of each write. Raises OSError."""
        numbers = self._writes + np.arange(len(rows), dtype=np.uint64)
        self._writes += len(rows)
        for start in range(0, len(rows), _WRITE_ROWS):
            block = np.ascontiguousarray(rows[start : start + _WRITE_ROWS]).view(np.uint8)
            nonces = map(_nonce, numbers[start : start + _WRITE_ROWS].tolist())
            sealed = [self._cipher.encrypt(nonce, row.data, None) for nonce, row in zip(nonces, block, strict=True)]
            self._write(b"".join(sealed), (first + start) * self._row_bytes)
        return numbers

    def read(self, places: NDArray[np.int64], numbers: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Read rows (n, d), by their places and the numbers of their writes. Raises OSError."""
        offsets: list[int] = (places * self._row_bytes).tolist()
        if hasattr(os, "posix_fadvise"):
            for offset in offsets[1:]:  # so that the disk works on all of them at once
                os.posix_fadvise(self._file, offset, self._row_bytes, os.POSIX_FADV_WILLNEED)
        rows = b"".join(map(self._opened, offsets, numbers.tolist()))
        return np.frombuffer(rows, np.float32).reshape(len(places), self.dimension)

    def _opened(self, offset: int, number: int) -> bytes:
        try:
            return self._cipher.decrypt(_nonce(number), os.pread(self._file, self._row_bytes, offset), None)
        except InvalidTag:
            raise OSError(errno.EIO, "the disk changed a template in the file of templates") from None

    def _write(self, content: bytes, offset: int) -> None:
        left = memoryview(content)
        while left:
            written = os.pwrite(self._file, left, offset)
            left, offset = left[written:], offset + written


class FiledRows:
    """The rows (n, d) of one segment of a file. A ``Chunk`` uses it as a column, by numbers and slices."""

    def __init__(self, file: RowFile, first: int) -> None:
        self._file = file
        self._first = first
        self._numbers = np.zeros(file.segment_rows, np.uint64)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._numbers.nbytes

    def __getitem__(self, which: Which) -> NDArray[np.float32]:
        offsets = self._offsets(which)
        rows = self._file.read(self._first + offsets, self._numbers[offsets])
        return rows[0] if isinstance(which, int | np.integer) else rows

    def __setitem__(self, which: Which, values: ArrayLike) -> None:
        offsets = self._offsets(which)
        rows = np.broadcast_to(np.asarray(values, np.float32), (len(offsets), self._file.dimension))
        if len(offsets):
            self._numbers[offsets] = self._file.write(self._first + int(offsets[0]), rows)

    def _offsets(self, which: Which) -> NDArray[np.int64]:
        return np.atleast_1d(np.arange(len(self._numbers), dtype=np.int64)[which])


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")


def _nameless_file(folder: Path) -> int:
    """Open a new file that only this process has. Raises OSError."""
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in {errno.EISDIR, errno.EOPNOTSUPP}:  # the file system has no such files
                raise
    file, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)  # noqa: PTH108
    return file
