"""Rows that searches read without a lock while writers insert, replace and delete.

Rows are in chunks. Growth adds a chunk, or doubles the last, small one. It copies no other chunk. A search reads a
``TableSnapshot``: an immutable tuple of chunks, row counts and masks of the rows that count. Writers never change a
snapshot. They publish the next one. So a search answers for the moment when it took its snapshot. It holds a lock only
while it takes it.

Searches and writers can share chunks because of an invariant: **a slot is written only while no snapshot in use shows
it.**

- Every snapshot has an epoch. A reader registers the epoch of its snapshot, and removes it at the end.
- A deletion masks the slot in the next snapshot, and records that snapshot's epoch for the slot. The slot is now
  *retired*: readers of older snapshots may still read it. It is *free* once no reader has an older epoch.
- The last row fills the hole, but only once the hole is free. The row is copied into the hole. Then one new snapshot
  shows the copy and hides the original. So no snapshot shows a row twice or not at all. The original's slot is now
  retired too, and stays unchanged for its readers. Without readers, all this happens before ``remove`` returns: a
  deletion swaps the last row into the hole.
- New rows go after the last slot that is in use or retired. No snapshot in use shows these places.

A scan may read a masked slot while a writer fills it. It computes some number, and discards it because of the mask. A
deleted template is overwritten as soon as its slot is free.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from sys import getsizeof
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from likeness.index.codes import Codec
from likeness.index.row_file import FiledRows, RowFile
from likeness.index.views import Chunk, Draft, Segment, TableSnapshot

_log = logging.getLogger("likeness.index")
_SMALLEST_CHUNK_ROWS = 64
_KEY_BYTES = 2 * 32  # the two integers of an entry of ``_slots``; the dictionary's own table is counted apart


def row_bytes(codec: Codec) -> int:
    """Give the memory in bytes that a row takes, its template and its key included."""
    terms = 2 * np.dtype(np.uint32).itemsize
    return codec.pitch + codec.half_pitch + terms + 4 * codec.dimension + np.dtype(np.int64).itemsize + _KEY_BYTES


class Table:
    """Rows by key, for many readers and one writer at a time.

    With a ``folder``, the templates of full-sized chunks are in a file there, and not in memory.
    """

    def __init__(self, codec: Codec, *, chunk_rows: int, folder: Path | None = None) -> None:
        self._codec = codec
        self._chunk_rows = chunk_rows
        self._folder = folder
        self._file: RowFile | None = None
        self._writing = Lock()
        self._state = Lock()  # guards _snapshot and _readers, and is held only to swap them
        self._snapshot = TableSnapshot()
        self._readers: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._retired: dict[int, int] = {}  # slot to the first epoch that does not show it; epochs in rising order
        self._free: set[int] = set()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: int) -> bool:
        return key in self._slots

    def keys(self) -> Collection[int]:
        """Give all keys. Only the thread that writes may call it."""
        return self._slots.keys()

    @contextmanager
    def reading(self) -> Iterator[TableSnapshot]:
        """Give the present snapshot. Its rows do not change until the block ends."""
        with self._state:
            snapshot = self._snapshot
            self._readers[snapshot.epoch] = self._readers.get(snapshot.epoch, 0) + 1
        try:
            yield snapshot
        finally:
            with self._state:
                self._readers[snapshot.epoch] -= 1
                if not self._readers[snapshot.epoch]:
                    del self._readers[snapshot.epoch]
            if self._retired and self._writing.acquire(blocking=False):
                try:
                    self._fill_holes()
                finally:
                    self._writing.release()

    def reserve(self, count: int) -> None:
        """Take the disk's room for ``count`` rows in all. Raises OSError when there is less."""
        if self._folder and count > self._chunk_rows // 2:
            with self._writing:
                self._opened_file(self._folder).reserve(-(-count // self._chunk_rows) * self._chunk_rows)

    def put(self, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Insert or replace rows (n, d) under distinct keys. Each block of ``chunk_rows`` becomes visible at once."""
        for first in range(0, len(keys), self._chunk_rows):
            self._put_block(keys[first : first + self._chunk_rows], rows[first : first + self._chunk_rows])

    def _put_block(self, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        rounded = self._codec.encode(rows)
        block = Chunk.of(rounded, rows, keys)
        names = keys.tolist()
        with self._writing:
            draft = Draft(self._snapshot, self._chunk_rows)
            slots = self._append(draft, block)
            draft.spread = draft.spread.including(rounded)
            replaced = [slot for key in names if (slot := self._slots.get(key)) is not None]
            draft.hide(replaced)
            draft.size += len(names) - len(replaced)
            self._publish(draft)
            self._slots.update(zip(names, slots, strict=True))
            self._retire(replaced)
            self._fill_holes()

    def remove(self, key: int) -> bool:
        """Delete a row. False when the key is unknown."""
        with self._writing:
            slot = self._slots.get(key)
            if slot is None:
                return False
            draft = Draft(self._snapshot, self._chunk_rows)
            draft.hide([slot])
            draft.size -= 1
            self._publish(draft)
            del self._slots[key]
            self._retire([slot])
            self._fill_holes()
            return True

    @property
    def nbytes(self) -> int:
        """Memory in bytes, spare room included."""
        snapshot = self._snapshot
        masks = sum(segment.alive.nbytes for segment in snapshot.segments if segment.alive is not None)
        chunks = sum(segment.chunk.nbytes for segment in snapshot.segments)
        return chunks + masks + getsizeof(self._slots) + _KEY_BYTES * len(self._slots)

    def _append(self, draft: Draft, block: Chunk) -> list[int]:
        """Write rows after the last slot, into new chunks when the last one is full. Give their slots."""
        slots: list[int] = []
        while len(slots) < block.capacity:
            left = block.capacity - len(slots)
            if not draft.segments or draft.segments[-1].count == self._chunk_rows:
                draft.segments.append(Segment(self._chunk(len(draft.segments), left), 0))
            last = draft.segments[-1]
            if last.count == last.chunk.capacity:
                number = len(draft.segments) - 1
                draft.resize(number, self._chunk(number, last.count + left))
                last = draft.segments[-1]
            taken = min(left, last.chunk.capacity - last.count)
            last.chunk.copy(last.count, block, len(slots), taken)
            slots.extend(range(draft.end, draft.end + taken))
            draft.segments[-1] = Segment(last.chunk, last.count + taken, last.alive)
        return slots

    def _chunk(self, segment: int, rows: int) -> Chunk:
        """Give a new chunk for a segment, with room for ``rows`` rows, but at most ``chunk_rows``."""
        capacity = min(max(_SMALLEST_CHUNK_ROWS, 1 << (rows - 1).bit_length()), self._chunk_rows)
        return Chunk.empty(capacity, self._codec.pitch, self._codec.half_pitch, self._rows(segment, capacity))

    def _rows(self, segment: int, capacity: int) -> NDArray[np.float32] | FiledRows:
        """Give room for a segment's templates: in the file, if there is one, for a full-sized chunk.

        A segment of the file stays there while its chunk is small: readers of older snapshots may still use it.
        """
        if self._folder and (capacity == self._chunk_rows or (self._file and segment in self._file)):
            try:
                return self._opened_file(self._folder).segment(segment)
            except OSError as error:
                _log.warning("the file of templates cannot grow (%s): the next ones stay in memory", error.strerror)
        return np.empty((capacity, self._codec.dimension), np.float32)

    def _opened_file(self, folder: Path) -> RowFile:
        if self._file is None:
            self._file = RowFile(folder, self._codec.dimension, self._chunk_rows)
        return self._file

    def _publish(self, draft: Draft) -> None:
        snapshot = draft.snapshot()
        with self._state:
            self._snapshot = snapshot

    def _retire(self, slots: Sequence[int]) -> None:
        self._retired.update(dict.fromkeys(slots, self._snapshot.epoch))

    def _reclaim(self) -> None:
        """Free and overwrite the retired slots that no snapshot in use shows."""
        with self._state:
            oldest = min(self._readers, default=self._snapshot.epoch)
        for slot, _ in list(takewhile(lambda entry: entry[1] <= oldest, self._retired.items())):
            del self._retired[slot]
            self._free.add(slot)
            self._snapshot.segments[slot // self._chunk_rows].chunk.erase(slot % self._chunk_rows)

    def _fill_holes(self) -> None:
        """Fill the free holes with the last rows, and release the room at the end. Without readers, no hole remains."""
        self._reclaim()
        if not self._free:
            return
        draft = Draft(self._snapshot, self._chunk_rows)
        moves: list[tuple[int, int]] = []
        source = draft.end - 1
        for hole in sorted(self._free):
            while source > hole and (source in self._free or source in self._retired):
                source -= 1
            if source <= hole:
                break
            moves.append((source, hole))
            source -= 1
        if moves:
            self._move(draft, moves)
            self._reclaim()
        self._trim()

    def _move(self, draft: Draft, moves: Sequence[tuple[int, int]]) -> None:
        sources, holes = zip(*moves, strict=True)
        keys = []
        for source, hole in moves:
            origin, there = draft.segments[source // self._chunk_rows].chunk, source % self._chunk_rows
            draft.segments[hole // self._chunk_rows].chunk.copy(hole % self._chunk_rows, origin, there, 1)
            keys.append(int(origin.keys[there]))
        draft.hide(sources)
        draft.show(holes)
        self._publish(draft)
        self._slots.update(zip(keys, holes, strict=True))
        self._free.difference_update(holes)
        self._retire(sources)

    def _trim(self) -> None:
        """Release the free slots at the end. Replace a last chunk that has become too large by a smaller one."""
        draft = Draft(self._snapshot, self._chunk_rows)
        old_end = end = draft.end
        while end - 1 in self._free:
            end -= 1
        if end == old_end:
            return
        draft.cut(end)
        if draft.segments:
            last = draft.segments[-1]
            if last.chunk.capacity > max(_SMALLEST_CHUNK_ROWS, 4 * last.count):
                number = len(draft.segments) - 1
                draft.resize(number, self._chunk(number, 2 * last.count))
        self._publish(draft)
        self._free.difference_update(range(end, old_end))
        if self._file:
            self._file.cut(len(draft.segments))
