"""A record of the trail: its fields, its line, and the link that chains it to the record before."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, Select, select

from likeness.store.tables import audit_records

NO_LINK = bytes(32)
"""The link before a strand's first record."""


class Note(NamedTuple):
    """What a record says. ``time`` is in seconds since the Unix epoch; None: when it is written."""

    time: float | None
    who: str
    tenant: str | None
    action: str
    object: str | None
    outcome: str
    request_id: str | None


class TrailRecord(NamedTuple):
    """A record as stored. The names and the order are those of the columns."""

    strand: str
    number: int
    time: float
    who: str
    tenant: str | None
    action: str
    object: str | None
    outcome: str
    request_id: str | None
    link: bytes

    @property
    def line(self) -> bytes:
        """The record without its link, as a line of JSON: what its link and its seal cover."""
        return json.dumps(self[:-1], separators=(",", ":")).encode() + b"\n"


def link_of(key: bytes, before: bytes, line: bytes) -> bytes:
    """Give the link of a record after one whose link is ``before``."""
    return hmac.digest(key, before + line, hashlib.sha256)


def make_record(key: bytes, strand: str, number: int, before: bytes, now: float, note: Note) -> TrailRecord:
    """Make the next record of a strand."""
    time = now if note.time is None else note.time
    bare = TrailRecord(strand, number, round(time, 3), *note[1:], link=b"")
    return bare._replace(link=link_of(key, before, bare.line))


_ALL = select(*audit_records.c)


def read_records(
    connection: Connection, change: Callable[[Select[tuple[object, ...]]], Select[tuple[object, ...]]], *, batch: int
) -> Iterator[TrailRecord]:
    """Give the records of a query that ``change`` makes of the query for all."""
    query = change(_ALL).execution_options(yield_per=batch)
    for rows in connection.execute(query).partitions():
        yield from _records(rows)


def _records(rows: Iterable[Iterable[object]]) -> Iterator[TrailRecord]:
    for row in rows:
        record = TrailRecord(*row)  # type: ignore[arg-type]  # the columns have these types
        yield record._replace(link=bytes(record.link))
