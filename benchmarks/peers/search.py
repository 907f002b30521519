"""Exact nearest neighbours as others find them: every peer on one thread, and by a scan of all rows.

A peer that computes in fewer bits than float32 may miss the nearest row; its recall says so.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from time import thread_time

import apsw
import faiss
import numpy as np
import sqlite_vec
from numpy.typing import NDArray
from usearch.compiled import MetricKind
from usearch.index import search as usearch_search

from peers.pgvector import pgvector

Rows = NDArray[np.float32]
Search = Callable[[Rows], int]
"""Takes a query (d,) and gives the number of the row that is nearest to it."""
AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to search some rows; ``clock`` counts the processor's seconds that its searches take."""

    name: str
    search: Search
    clock: Callable[[], float] = thread_time


class PeerLackingError(Exception):
    """A peer cannot be measured on this machine; the message names it and says why."""


def search_peers(rows: Rows) -> Iterator[AbstractContextManager[Peer]]:
    """Give one peer after the other; the rows that one holds are freed at its end."""
    yield nullcontext(Peer("NumPy", lambda query: int((rows @ query).argmax())))
    dimension, half = rows.shape[1], faiss.ScalarQuantizer.QT_fp16
    yield _faiss("faiss Flat", faiss.IndexFlatIP(dimension), rows)
    yield _faiss("faiss fp16", faiss.IndexScalarQuantizer(dimension, half, faiss.METRIC_INNER_PRODUCT), rows)
    yield _usearch(rows)
    yield _sqlite_vec(rows)
    yield _pgvector(rows)


@contextmanager
def _faiss(name: str, index: faiss.Index, rows: Rows) -> Iterator[Peer]:
    index.train(rows[:1000])
    index.add(rows)
    yield Peer(name, lambda query: int(index.search(query[np.newaxis], 1)[1][0, 0]))
    index.reset()


@contextmanager
def _usearch(rows: Rows) -> Iterator[Peer]:
    """Search codes of 8 bits: the fastest that usearch has."""
    whole = np.empty(rows.shape, np.int8)
    scale = 127 / np.abs(rows).max()
    for first in range(0, len(rows), AT_ONCE):
        whole[first : first + AT_ONCE] = np.rint(rows[first : first + AT_ONCE] * scale)

    def search(query: Rows) -> int:
        rounded = np.rint(query * (127 / np.abs(query).max())).astype(np.int8)
        found = usearch_search(whole, rounded[np.newaxis], 1, MetricKind.IP, exact=True, threads=1)
        return int(found.keys.flat[0])

    yield Peer("usearch i8", search)


@contextmanager
def _sqlite_vec(rows: Rows) -> Iterator[Peer]:
    """Search a table in memory. The distance is Euclid's: of rows of length 1 it has the same nearest, and is the faster."""
    database = apsw.Connection(":memory:")
    database.enable_load_extension(True)
    database.load_extension(sqlite_vec.loadable_path())
    database.execute(f"CREATE VIRTUAL TABLE faces USING vec0(template float[{rows.shape[1]}])")
    with database:
        entries = ((number, row.tobytes()) for number, row in enumerate(rows))
        database.executemany("INSERT INTO faces (rowid, template) VALUES (?, ?)", entries)
    sql = "SELECT rowid FROM faces WHERE template MATCH ? AND k = 1"
    yield Peer("sqlite-vec", lambda query: int(database.execute(sql, (query.tobytes(),)).get))
    database.close()


@contextmanager
def _pgvector(rows: Rows) -> Iterator[Peer]:
    with ExitStack() as stack:
        try:
            search, clock = stack.enter_context(pgvector(rows))
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeerLackingError(f"pgvector is not measured: its PostgreSQL does not start ({error})") from error
        yield Peer("pgvector", search, clock)
