"""A snapshot in use never changes. The table stays dense. No deleted row stays in memory."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.index.codes import Codec, Goal
from likeness.index.exact import ExactIndex, best_scan
from likeness.index.faiss_scan import FaissScan
from likeness.index.reference import ReferenceIndex
from likeness.index.scans import Candidates, RowBlock, Scan
from likeness.index.table import Table
from likeness.index.views import TableSnapshot

DIMENSION = 3
CHUNK_ROWS = 64
FOLDERS = st.sampled_from([None, Path(tempfile.gettempdir())])
"""Where templates are in a file, if they are not in memory."""

keys = st.integers(0, 40)
changes = st.one_of(
    st.tuples(st.just("put"), st.lists(keys, min_size=1, max_size=30, unique=True)),
    st.tuples(st.just("fill"), st.integers(1, 200)),
    st.tuples(st.just("remove"), st.lists(keys, min_size=1, max_size=30)),
    st.tuples(st.just("drain"), st.integers(1, 200)),
)
readings = st.one_of(st.tuples(st.just("take"), st.none()), st.tuples(st.just("return"), st.integers(0, 5)))


class Writer:
    """Makes the same changes to a table and to a dictionary. Each row that it writes is a new one."""

    def __init__(self, put: Callable[..., Any], remove: Callable[..., Any]) -> None:
        self.put, self.remove = put, remove
        self.rows: dict[int, bytes] = {}
        self.count = 0

    def write(self, names: Sequence[int]) -> None:
        rows = np.empty((len(names), DIMENSION), np.float32)
        for row, name in zip(rows, names, strict=True):
            self.count += 1
            row[:] = np.cos(self.count), np.sin(self.count), 0
            self.rows[name] = row.tobytes()
        self.put(np.array(names, np.int64), rows)

    def do(self, name: str, argument: Any) -> None:
        match name:
            case "put":
                self.write(argument)
            case "fill":
                self.write(range(1000, 1000 + argument))
            case "remove" | "drain":
                for key in argument if name == "remove" else range(1000, 1000 + argument):
                    assert self.remove(key) == (self.rows.pop(key, None) is not None)


def rows_shown(view: TableSnapshot) -> dict[int, bytes]:
    """Read a snapshot as a search does: each key once, with its row."""
    shown = {}
    for segment in view.segments:
        alive = np.ones(segment.count) if segment.alive is None else segment.alive[: segment.count]
        for offset in np.flatnonzero(alive):
            key = int(segment.chunk.keys[offset])
            assert key not in shown
            shown[key] = segment.chunk.rows[offset].tobytes()
    assert len(shown) == view.size
    return shown


def codes_fit(view: TableSnapshot, codec: Codec) -> bool:
    """Check that the codes are those of the rows that count."""
    for segment in view.segments:
        rounded = codec.encode(segment.chunk.rows[: segment.count])
        living = slice(None) if segment.alive is None else segment.alive[: segment.count] != 0
        assert np.array_equal(rounded.codes[living], segment.chunk.codes[: segment.count][living])
        assert np.array_equal(rounded.terms[living], segment.chunk.terms[: segment.count][living])
    return True


@settings(max_examples=200)
@given(st.lists(st.one_of(changes, readings), max_size=30), FOLDERS, st.sampled_from([CHUNK_ROWS, 2 * CHUNK_ROWS]))
def test_views_in_use_never_change(steps: Any, folder: Path | None, chunk_rows: int) -> None:
    """Chunks that begin small move to the file when they grow."""
    codec = Codec(DIMENSION)
    table = Table(codec, chunk_rows=chunk_rows, folder=folder)
    writer = Writer(table.put, table.remove)
    held = []
    with ExitStack() as stack:
        for name, argument in steps:
            match name:
                case "take":
                    reading = ExitStack()
                    stack.push(reading)
                    held.append((reading, reading.enter_context(table.reading()), dict(writer.rows)))
                case "return":
                    if argument < len(held):
                        held.pop(argument)[0].close()
                case _:
                    writer.do(name, argument)
            with table.reading() as view:
                assert rows_shown(view) == writer.rows
                assert codes_fit(view, codec)
            for _, view, rows in held:
                assert rows_shown(view) == rows
            assert len(table) == len(writer.rows)
            if not held:
                assert_dense(table, writer.rows, chunk_rows)
    assert_dense(table, writer.rows, chunk_rows)


def assert_dense(table: Table, rows: dict[int, bytes], chunk_rows: int) -> None:
    """Without readers, the table has no hole, no mask and no unused chunk."""
    with table.reading() as view:
        pass
    assert all(segment.alive is None for segment in view.segments)
    assert [segment.count for segment in view.segments[:-1]] == [chunk_rows] * (len(view.segments) - 1)
    assert sum(segment.count for segment in view.segments) == len(rows) == view.size
    assert set().union(*(segment.chunk.keys[: segment.count].tolist() for segment in view.segments)) == set(rows)


class InterruptedScan:
    """A scan during which others write. After each part that it reads, it makes the next change."""

    def __init__(self, scan: Scan) -> None:
        self.scan, self.limit = scan, scan.limit
        self.interruptions: list[Callable[[], None]] = []

    def __call__(self, parts: Sequence[RowBlock], goals: Sequence[Goal]) -> list[Candidates]:
        read = []
        for number, part in enumerate(parts):
            read.append([shifted(found, number) for found in self.scan((part,), goals)])
            if self.interruptions:
                self.interruptions.pop(0)()
        return [together(found) for found in zip(*read, strict=True)] if read else self.scan((), goals)


def shifted(found: Candidates, part: int) -> Candidates:
    return replace(found, rows=found.rows | (part << 32))


def together(found: Sequence[Candidates]) -> Candidates:
    rows, scores, uppers = (
        np.concatenate([getattr(each, name) for each in found]) for name in ("rows", "scores", "uppers")
    )
    return Candidates(rows, scores, uppers, max(each.cut for each in found))


@settings(max_examples=150)
@given(
    st.lists(changes, min_size=1, max_size=8),
    st.lists(changes, min_size=1, max_size=4),
    st.sampled_from(["best", "faiss"]),
    st.floats(0, 6),
    FOLDERS,
)
def test_a_search_answers_for_the_moment_it_began(
    before: list[tuple[str, Any]],
    during: list[tuple[str, Any]],
    kind: str,
    angle: float,
    folder: Path | None,
) -> None:
    """Changes in the middle of a scan, and the moves that they cause, do not change its answer."""
    interrupted = InterruptedScan(FaissScan(DIMENSION) if kind == "faiss" else best_scan(DIMENSION))
    index = ExactIndex(DIMENSION, scan=interrupted, chunk_rows=CHUNK_ROWS, folder=folder)
    writer = Writer(index.add_many, index.remove)
    reference = ReferenceIndex(DIMENSION)
    for change in before:
        writer.do(*change)
    for key, row in writer.rows.items():
        reference.add(key, np.frombuffer(row, np.float32))
    query = np.array([np.cos(angle), np.sin(angle), 0], np.float32)
    interrupted.interruptions = [lambda change=change: writer.do(*change) for change in during]  # type: ignore[misc]
    assert index.search(query, k=5) == reference.search(query, k=5)
    interrupted.interruptions.clear()
    assert len(index.above(query, -2).hits) == len(writer.rows) == len(index)


def test_the_memory_of_deleted_rows_is_given_back() -> None:
    table = Table(Codec(128), chunk_rows=1024)
    rows = np.random.default_rng(0).standard_normal((10_000, 128), np.float32)
    table.put(np.arange(10_000), rows)
    full = table.nbytes
    for key in range(9_990):
        table.remove(key)
    assert table.nbytes < full / 20


def test_growth_copies_no_full_chunk() -> None:
    table = Table(Codec(8), chunk_rows=64)
    rows = np.ones((64, 8), np.float32)
    table.put(np.arange(64), rows)
    with table.reading() as before:
        first = before.segments[0].chunk
    table.put(np.arange(64, 200), np.ones((136, 8), np.float32))
    with table.reading() as after:
        assert after.segments[0].chunk is first
        assert [segment.count for segment in after.segments] == [64, 64, 64, 8]


def test_a_deleted_template_is_overwritten_once_nobody_reads_it() -> None:
    table = Table(Codec(8), chunk_rows=64)
    table.put(np.arange(3), np.full((3, 8), 0.25, np.float32))
    with table.reading() as view:
        chunk = view.segments[0].chunk
        for key in range(3):
            table.remove(key)
        assert chunk.rows[:3].all()
    assert not chunk.rows[:3].any()
    assert (chunk.codes[:3] == 128).all()
