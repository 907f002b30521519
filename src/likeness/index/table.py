"""Rows that searches read without a lock while writers insert, replace and delete.

Rows lie in chunks: growth adds a chunk (or doubles the last, small one) and copies no other. What a search reads is a
``TableSnapshot``: an immutable tuple of chunks, row counts and masks of the rows that count. Writers never change a
view; they publish the next one. So a search answers for the moment its view was taken, and takes a lock only to take
it.

The invariant that lets chunks be shared: **a slot is written only while no view in use shows it.**

- Every view has an epoch. A reader registers its view's epoch and takes it off when it is done.
- Deleting masks the slot in the next view, whose epoch is noted beside the slot. The slot is *retired*: older views may
  still read it. It is *free* once no reader is registered under an older epoch.
- The hole is filled by the last row only when it is free. The last row is copied into it, and one and the same view
  starts to show the copy and ceases to show the original, which is then retired itself: no view shows a row twice or
  not at all, and the original stays whole for the readers that still look at it. With no reader about, all this
  happens before ``remove`` returns: delete is swap with the last row.
- Rows are appended behind the last slot that is in use or retired, where no view in use looks.

A scan may read a masked slot while it is being filled; it gets some number for it, and discards it by its mask. A
deleted template is overwritten as soon as its slot is free.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from sys import getsizeof
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from likeness.index.codes import Codec
from likeness.index.views import Chunk, Draft, Segment, TableSnapshot

_SMALLEST_CHUNK_ROWS = 64
_KEY_BYTES = 2 * 32  # the integers of an entry of ``_slots``, beside the dictionary's own table


class Table:
    """Rows by key, for many readers and one writer at a time."""

    def __init__(self, codec: Codec, *, chunk_rows: int) -> None:
        self._codec = codec
        self._chunk_rows = chunk_rows
        self._writing = Lock()
        self._state = Lock()  # guards _view and _readers, and is held for no longer than it takes to swap them
        self._snapshot = TableSnapshot()
        self._readers: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._retired: dict[int, int] = {}  # slot to the first epoch that does not show it, in rising order
        self._free: set[int] = set()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: int) -> bool:
        return key in self._slots

    @contextmanager
    def reading(self) -> Iterator[TableSnapshot]:
        """Give the present view; its rows stay as they are until the block ends."""
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

    def put(self, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Insert or replace rows under distinct keys; each block of them becomes visible at once."""
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
        snapshot = self._snapshot
        masks = sum(segment.alive.nbytes for segment in snapshot.segments if segment.alive is not None)
        chunks = sum(segment.chunk.nbytes for segment in snapshot.segments)
        return chunks + masks + getsizeof(self._slots) + _KEY_BYTES * len(self._slots)

    def _append(self, draft: Draft, block: Chunk) -> list[int]:
        """Write rows behind the last slot, into new chunks where the last is full; give their slots."""
        slots: list[int] = []
        while len(slots) < block.capacity:
            left = block.capacity - len(slots)
            if not draft.segments or draft.segments[-1].count == self._chunk_rows:
                draft.segments.append(Segment(self._chunk(left), 0))
            last = draft.segments[-1]
            if last.count == last.chunk.capacity:
                draft.resize(len(draft.segments) - 1, self._chunk(last.count + left))
                last = draft.segments[-1]
            taken = min(left, last.chunk.capacity - last.count)
            last.chunk.copy(last.count, block, len(slots), taken)
            slots.extend(range(draft.end, draft.end + taken))
            draft.segments[-1] = Segment(last.chunk, last.count + taken, last.alive)
        return slots

    def _chunk(self, rows: int) -> Chunk:
        """Give a new chunk with room for ``rows``, up to a full one's."""
        capacity = max(_SMALLEST_CHUNK_ROWS, 1 << (rows - 1).bit_length())
        codec = self._codec
        return Chunk.empty(min(capacity, self._chunk_rows), codec.dimension, codec.pitch, codec.half_pitch)

    def _publish(self, draft: Draft) -> None:
        snapshot = draft.snapshot()
        with self._state:
            self._snapshot = snapshot

    def _retire(self, slots: Sequence[int]) -> None:
        self._retired.update(dict.fromkeys(slots, self._snapshot.epoch))

    def _reclaim(self) -> None:
        """Free and overwrite the retired slots that no view in use shows."""
        with self._state:
            oldest = min(self._readers, default=self._snapshot.epoch)
        for slot, _ in list(takewhile(lambda entry: entry[1] <= oldest, self._retired.items())):
            del self._retired[slot]
            self._free.add(slot)
            self._snapshot.segments[slot // self._chunk_rows].chunk.erase(slot % self._chunk_rows)

    def _fill_holes(self) -> None:
        """Fill the free holes with the last rows and give back the room behind; all of it, when nobody reads."""
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
        """Give back the free slots at the very end, and the memory of a last chunk that has become too large."""
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
                draft.resize(len(draft.segments) - 1, self._chunk(2 * last.count))
        self._publish(draft)
        self._free.difference_update(range(end, old_end))
