"""The data that a search reads: chunks of rows, and immutable snapshots of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.index.codes import Codes, Spread
from likeness.index.row_file import FiledRows
from likeness.index.scans import RowBlock

_CACHE_LINE = 64
_READ_ROWS = 1024
"""Templates that are read from a file at once."""
_HUGE_PAGE = 2 << 20
"""Bytes of a huge page. NumPy asks the system for huge pages for its large arrays."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in columns: rounded for the scan (see ``Codes``), and (n, d) float32 with (n,) keys for the answer."""

    codes: NDArray[np.uint8]
    terms: NDArray[np.uint32]
    halves: NDArray[np.uint8]
    half_terms: NDArray[np.uint32]
    rows: NDArray[np.float32] | FiledRows
    keys: NDArray[np.int64]

    @classmethod
    def empty(cls, capacity: int, pitch: int, half_pitch: int, rows: NDArray[np.float32] | FiledRows) -> "Chunk":
        """Give a chunk with room for ``capacity`` rows. ``rows`` has at least as much."""
        return cls(
            _aligned(capacity, pitch),
            np.empty(capacity, np.uint32),
            _aligned(capacity, half_pitch),
            np.empty(capacity, np.uint32),
            rows,
            np.empty(capacity, np.int64),
        )

    @classmethod
    def of(cls, rounded: Codes, rows: NDArray[np.float32], keys: NDArray[np.int64]) -> "Chunk":
        return cls(rounded.codes, rounded.terms, rounded.halves, rounded.half_terms, rows, keys)

    @property
    def columns(self) -> tuple[Any, ...]:
        """All columns, in the order above."""
        return self.codes, self.terms, self.halves, self.half_terms, self.rows, self.keys

    @property
    def capacity(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(column.nbytes for column in self.columns)

    def part(self, alive: NDArray[np.uint8] | None, size: int) -> RowBlock:
        rows = None if isinstance(self.rows, FiledRows) else self.rows
        return RowBlock(self.codes, self.terms, self.halves, self.half_terms, rows, alive, size)

    def copy(self, at: int, source: "Chunk", first: int, count: int) -> None:
        """Copy ``count`` rows of ``source`` from ``first`` on. Write them from ``at`` on."""
        for here, there in zip(self.columns, source.columns, strict=True):
            if here is there and at == first:  # both chunks have their rows in one segment of a file
                continue
            here[at : at + count] = there[first : first + count]

    def erase(self, offset: int) -> None:
        """Overwrite a row and its key."""
        for column in self.columns:
            column[offset] = 0
        self.codes[offset] = 128
        self.keys[offset] = -1


def _aligned(capacity: int, pitch: int) -> NDArray[np.uint8]:
    """Give (capacity, pitch) bytes that start at a cache line, or at a huge page when they are many.

    So no load of a scan touches two cache lines.
    """
    size = capacity * pitch
    alignment = _HUGE_PAGE if size >= _HUGE_PAGE else _CACHE_LINE
    memory = np.empty(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size].reshape(capacity, pitch)


@dataclass(frozen=True, slots=True)
class Segment:
    """A chunk as one snapshot shows it: its first ``count`` rows, without those whose ``alive`` is 0."""

    chunk: Chunk
    count: int
    alive: NDArray[np.uint8] | None = None

    @property
    def part(self) -> RowBlock:
        return self.chunk.part(self.alive, self.count)


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """The rows at one moment. A slot is ``chunk_rows * segment + offset``. All segments but the last are full."""

    epoch: int = 0
    segments: tuple[Segment, ...] = ()
    parts: tuple[RowBlock, ...] = ()
    size: int = 0
    spread: Spread = field(default_factory=Spread)

    @property
    def filed(self) -> bool:
        """Whether some templates are in a file."""
        return any(part.rows is None for part in self.parts)

    def row(self, segment: int, offset: int) -> NDArray[np.float32]:
        """Give a row's template (d,) as the caller gave it."""
        row: NDArray[np.float32] = self.segments[segment].chunk.rows[offset]
        return row

    def sums(
        self,
        segments: NDArray[np.int64],
        offsets: NDArray[np.int64],
        known: NDArray[np.float64],
        query: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Give the sums (n,) of rows' products with a query: those known, and of rows in a file the sums from there.

        Raises OSError.
        """
        if not self.filed:
            return known
        sums, wide = known.copy(), query.astype(np.float64)
        for number in np.unique(segments).tolist():
            rows = self.segments[number].chunk.rows
            if isinstance(rows, FiledRows):
                of_segment = np.flatnonzero(segments == number)
                for first in range(0, len(of_segment), _READ_ROWS):
                    here = of_segment[first : first + _READ_ROWS]
                    sums[here] = rows[offsets[here]].astype(np.float64) @ wide
        return sums

    def keys(self, segments: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the keys of rows, in the order of the rows.

        Neighbouring rows of the same segment are looked up together.
        """
        ends = [*(np.flatnonzero(segments[1:] != segments[:-1]) + 1).tolist(), len(segments)]
        keys = np.empty(len(segments), np.int64)
        first = 0
        for end in ends:
            keys[first:end] = self.segments[segments[first]].chunk.keys[offsets[first:end]]
            first = end
        return keys


class Draft:
    """The next snapshot in preparation: the segments of the present one. A mask is copied before it changes."""

    def __init__(self, snapshot: TableSnapshot, chunk_rows: int) -> None:
        self.segments = list(snapshot.segments)
        self.size = snapshot.size
        self.spread = snapshot.spread
        self._epoch = snapshot.epoch + 1
        self._chunk_rows = chunk_rows
        self._copied: set[int] = set()

    @property
    def end(self) -> int:
        """The number after the last slot."""
        return (len(self.segments) - 1) * self._chunk_rows + self.segments[-1].count if self.segments else 0

    def show(self, slots: Sequence[int]) -> None:
        """Make slots count."""
        for slot in slots:
            self._mask(slot // self._chunk_rows)[slot % self._chunk_rows] = 1

    def hide(self, slots: Sequence[int]) -> None:
        """Mask slots."""
        for slot in slots:
            self._mask(slot // self._chunk_rows)[slot % self._chunk_rows] = 0

    def cut(self, end: int) -> None:
        """Drop all slots from ``end`` on."""
        del self.segments[-(-end // self._chunk_rows) :]
        if self.segments:
            number = len(self.segments) - 1
            count = end - number * self._chunk_rows
            if self.segments[number].alive is not None:
                self._mask(number)[count:] = 1  # so that rows appended there later count
            self.segments[number] = replace(self.segments[number], count=count)

    def resize(self, number: int, chunk: Chunk) -> None:
        """Copy a segment's rows into another chunk. Snapshots in use keep the old one."""
        segment = self.segments[number]
        chunk.copy(0, segment.chunk, 0, segment.count)
        alive = None
        if segment.alive is not None:
            alive = np.ones(chunk.capacity, np.uint8)
            alive[: segment.count] = segment.alive[: segment.count]
        self._copied.add(number)
        self.segments[number] = Segment(chunk, segment.count, alive)

    def snapshot(self) -> TableSnapshot:
        """Give the finished snapshot. A mask that hides no row is dropped."""
        for number in self._copied.intersection(range(len(self.segments))):
            segment = self.segments[number]
            if segment.alive is not None and segment.alive[: segment.count].all():
                self.segments[number] = replace(segment, alive=None)
        segments = tuple(self.segments)
        return TableSnapshot(self._epoch, segments, tuple(segment.part for segment in segments), self.size, self.spread)

    def _mask(self, number: int) -> NDArray[np.uint8]:
        segment = self.segments[number]
        alive = segment.alive
        if alive is None:
            alive = np.ones(segment.chunk.capacity, np.uint8)
        elif number in self._copied:
            return alive
        else:
            alive = alive.copy()
        self._copied.add(number)
        self.segments[number] = replace(segment, alive=alive)
        return alive
