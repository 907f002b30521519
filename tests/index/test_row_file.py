"""Templates in a file are as safe as in memory: nobody else reads them, and no fault of the disk goes unseen."""

import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index import row_file
from likeness.index.exact import ExactIndex
from likeness.index.reference import ReferenceIndex
from likeness.index.row_file import RowFile

DIMENSION = 5
Faces = Callable[..., NDArray[np.float32]]


def file_of(index: ExactIndex) -> RowFile:
    file = index._table._file
    assert file is not None
    return file


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((3000, DIMENSION), np.float32)
    segment = RowFile(tmp_path, DIMENSION, 4096).segment(2)
    segment[7:3007] = rows
    assert np.array_equal(segment[7:3007], rows)
    assert np.array_equal(segment[8], rows[1])
    assert np.array_equal(segment[np.array([500, 9])], rows[[493, 2]])
    assert segment[3:3].shape == (0, DIMENSION)
    segment[8] = 0
    assert not segment[8].any()
    assert np.array_equal(segment[9], rows[2])


def test_the_file_has_no_name_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = RowFile(tmp_path, DIMENSION, 64)
    file.segment(0)
    assert list(tmp_path.iterdir()) == []
    assert stat.S_IMODE(os.fstat(file._file).st_mode) == 0o600
    assert os.fstat(file._file).st_nlink == 0
    assert not os.get_inheritable(file._file)


def test_a_file_system_without_nameless_files_is_served_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY, raising=False)  # opening a folder to write is EISDIR
    test_the_file_has_no_name_and_is_its_owners_alone(tmp_path)


def test_the_file_ends_with_its_owner(tmp_path: Path) -> None:
    file = RowFile(tmp_path, DIMENSION, 64)
    descriptor = file._file
    del file
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_nothing_of_a_template_is_on_the_disk(tmp_path: Path) -> None:
    file = RowFile(tmp_path, 64, 64)
    row = np.random.default_rng(0).standard_normal(64, np.float32)
    segment = file.segment(0)
    contents = []
    for _ in range(2):
        segment[0] = row
        contents.append(os.pread(file._file, 64 * (4 * 64 + 16), 0))
        assert all(row[first : first + 2].tobytes() not in contents[-1] for first in range(63))
    assert contents[0] != contents[1]  # the same row is other bytes each time


@pytest.mark.parametrize("fault", ["changed", "lost", "earlier"])
def test_a_row_that_the_disk_changed_is_found_out(tmp_path: Path, faces: Faces, fault: str) -> None:
    rows = faces(200, 128, photos=1)
    index = ExactIndex(128, chunk_rows=64, folder=tmp_path)
    index.add_many(range(200), rows)
    file, size = file_of(index), 4 * 128 + 16
    earlier = os.pread(file._file, size, 199 * size)
    if fault == "earlier":
        assert index.remove(199)
        index.add(199, rows[3])
    assert index.search(rows[3], k=2).certified
    os.pwrite(file._file, earlier if fault == "earlier" else bytes(size), (199 if fault == "earlier" else 3) * size)
    if fault == "lost":
        os.ftruncate(file._file, 3 * size)
    with pytest.raises(OSError, match="template"):
        index.search(rows[3], k=2)
    if fault != "lost":
        assert index.search(rows[4]).certified


def test_a_deleted_template_is_overwritten_once_nobody_reads_it(tmp_path: Path, faces: Faces) -> None:
    index, size = ExactIndex(128, chunk_rows=64, folder=tmp_path), 4 * 128 + 16
    index.add_many(range(64), faces(64, 128))

    def stored(slot: int) -> bytes:
        return os.pread(file_of(index)._file, size, slot * size)

    last, first = stored(63), stored(0)
    with index._table.reading():
        assert index.remove(63)
        assert index.remove(0)
        assert (stored(63), stored(0)) == (last, first)
    assert stored(63) != last
    assert stored(0) != first


def test_room_that_is_not_there_is_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    index = ExactIndex(512, folder=tmp_path)
    with pytest.raises(OSError, match="No space"):
        index.reserve(10**12)
    assert os.fstat(file_of(index)._file).st_size == 0
    index.reserve(20_000)
    assert os.fstat(file_of(index)._file).st_blocks * 512 >= 20_000 * 2048


def test_room_is_given_back_when_the_disk_fills_up_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RowFile(tmp_path, DIMENSION, 64)
    file.reserve(64)
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(OSError, match="No space"):
        file.reserve(128)
    assert os.fstat(file._file).st_size == 64 * (4 * DIMENSION + 16)


def test_a_file_system_that_reserves_nothing_is_served_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    segment = RowFile(tmp_path, DIMENSION, 64).segment(1)
    segment[3] = np.ones(DIMENSION)
    assert segment[3].all()


def test_growth_beyond_the_disk_goes_on_in_memory(
    tmp_path: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = faces(300, 128)
    index, reference = ExactIndex(128, chunk_rows=64, folder=tmp_path), ReferenceIndex(128)
    index.add_many(range(100), rows[:100])
    with monkeypatch.context() as full, caplog.at_level(logging.WARNING):
        full.setattr(os, "posix_fallocate", no_room)
        index.add_many(range(100, 200), rows[100:200])
    assert "No space left on device" in caplog.text
    index.add_many(range(200, 300), rows[200:])
    reference.add_many(range(300), rows)
    for key in range(0, 300, 3):
        assert index.remove(key)
        assert reference.remove(key)
    with index._table.reading() as snapshot:
        assert {part.rows is None for part in snapshot.parts} == {True, False}
    for query in rows[::10]:
        assert index.search(query, k=7) == reference.search(query, k=7)
        assert index.above(query, 0.1) == reference.above(query, 0.1)


def test_a_write_that_fails_changes_nothing(tmp_path: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = faces(200, 128)
    index, reference = ExactIndex(128, chunk_rows=64, folder=tmp_path), ReferenceIndex(128)
    for each in (index, reference):
        each.add_many(range(100), rows[:100])
    with monkeypatch.context() as faulty:
        faulty.setattr(os, "pwrite", no_room)
        with pytest.raises(OSError, match="No space"):
            index.add_many(range(50, 150), rows[100:])
    assert len(index) == 100
    assert all(index.search(row, k=5) == reference.search(row, k=5) for row in rows)
    for each in (index, reference):
        each.add_many(range(50, 150), rows[100:])
    assert all(index.search(row, k=5) == reference.search(row, k=5) for row in rows)


def test_an_index_that_shrinks_gives_the_disk_back(tmp_path: Path, faces: Faces) -> None:
    rows = faces(1000, 128)
    index, reference = ExactIndex(128, chunk_rows=128, folder=tmp_path), ReferenceIndex(128)
    for _ in range(2):
        for each in (index, reference):
            each.add_many(range(1000), rows)
        assert os.fstat(file_of(index)._file).st_size == 1024 * (4 * 128 + 16)
        for key in range(990):
            assert index.remove(key)
            assert reference.remove(key)
        assert os.fstat(file_of(index)._file).st_size == 128 * (4 * 128 + 16)
        assert index.above(rows[0], -2) == reference.above(rows[0], -2)


def test_rows_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:1000], offset))
    monkeypatch.setattr(row_file, "_WRITE_ROWS", 7)
    rows = np.random.default_rng(0).standard_normal((64, 100), np.float32)
    segment = RowFile(tmp_path, 100, 64).segment(0)
    segment[0:64] = rows
    assert np.array_equal(segment[0:64], rows)
