"""Blocks: templates of many neighbouring entries, sealed as one value. With them a gallery loads quickly.

The rows of ``gallery_templates`` are the truth. A block copies the rows of one tenant and one pack whose keys are in
one span. To read and open it takes a fifth of the time of its rows. The invariant: **an existing block has the same
content as its rows.** A transaction that changes a template also deletes the blocks of its span
(``GalleryRepository.drop_blocks``). So an erased template is gone when its erasure is committed, and no crash restores
it. The other templates of the span are read row by row until they are sealed again. New entries do not break the
invariant. A span is sealed only after an entry got a key past its end, and keys only rise.

A damaged row is left out and reported. Its span gets no block, so the next start reports it, too. When a block is
damaged, its rows are read until it is made again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.repository import BLOCK_SPAN, WHOLE, GalleryRepository, Part
from likeness.gallery.templates.sealing import open_block, open_templates, seal_block
from likeness.store.tables import gallery_blocks
from likeness.tenants.service import Tenant

READ_ROWS = 8192
FEWEST_ROWS = 32
"""A block of fewer rows is not worth its room. When many tenants enrol in turn, each has few entries in a span."""


@dataclass(frozen=True, slots=True, eq=False)
class TemplateBatch:
    """Templates of neighbouring entries: (n,) rising keys and (n, d) float32 rows.

    ``by_row`` is true when they were read row by row, not from a block.
    """

    keys: NDArray[np.int64]
    rows: NDArray[np.float32]
    by_row: bool
    damaged: tuple[int, ...] = ()
    """Keys of entries among these whose template cannot be read."""

    @property
    def spans(self) -> list[int]:
        spans: list[int] = np.unique(self.keys // BLOCK_SPAN).tolist()
        return spans


def stored_templates(
    connection: Connection, tenant: Tenant, pack: PackIdentity, size: int, part: Part = WHOLE
) -> Iterator[TemplateBatch]:
    """Read a tenant's templates of a pack in one part, by rising key. Each has ``size`` numbers."""
    gallery = GalleryRepository(tenant.id)
    start = 0  # the first span that is not read yet
    for span in gallery.block_spans(connection, pack):
        if part.first_span(span) != span:
            continue
        sealed = gallery.block(connection, pack, span)
        block = open_block(tenant, pack, span, sealed, size) if sealed is not None else None
        if block is None:  # damaged, or deleted by a server's write after the spans were listed
            continue
        if part.first_span(start) < span:
            yield from _read_rows(connection, tenant, pack, size, (start, span), part)
        yield TemplateBatch(*block, by_row=False)
        start = span + 1
    yield from _read_rows(connection, tenant, pack, size, (start, None), part)


def gathered(batches: Iterable[TemplateBatch], count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Give the batches' keys and rows in groups of at least ``count``. The last group may be smaller."""
    waiting: list[TemplateBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(each.keys) for each in waiting) >= count:
            yield joined(waiting)
            waiting = []
    if waiting:
        yield joined(waiting)


def seal_span(connection: Connection, tenant: Tenant, sizes: Mapping[PackIdentity, int], span: int) -> bool:
    """Make the missing and damaged blocks of a span that have enough rows.

    False while the span may still get new entries. ``sizes`` has the length of templates by pack. Call it on the
    writer's thread: nothing may change between the reading and the commit.
    """
    gallery = GalleryRepository(tenant.id)
    gallery.lock(connection)
    first = span * BLOCK_SPAN
    if gallery.newest_key(connection) < first + BLOCK_SPAN:
        return False
    for pack, size in sizes.items():
        there = gallery.block(connection, pack, span)
        if there is not None:
            if open_block(tenant, pack, span, there, size) is not None:
                continue
            gallery.drop_blocks(connection, [first], gallery_blocks.c.pack == pack)
        batches = list(_read_rows(connection, tenant, pack, size, (span, span + 1)))
        if sum(len(batch.keys) for batch in batches) >= FEWEST_ROWS and not any(batch.damaged for batch in batches):
            gallery.add_block(connection, pack, span, seal_block(tenant, pack, span, *joined(batches)))
    return True


def _read_rows(
    connection: Connection,
    tenant: Tenant,
    pack: PackIdentity,
    size: int,
    spans: tuple[int, int | None],
    part: Part = WHOLE,
) -> Iterator[TemplateBatch]:
    """Read the rows of a part from the first span on, up to the end span without it. None: there is no end."""
    first, end = spans
    stored = GalleryRepository(tenant.id).templates(
        connection,
        pack,
        first_key=first * BLOCK_SPAN,
        end_key=None if end is None else end * BLOCK_SPAN,
        part=part,
        batch=READ_ROWS,
    )
    for rows in stored:
        yield open_rows(tenant, pack, size, rows)


def open_rows(tenant: Tenant, pack: PackIdentity, size: int, rows: Iterable[tuple[int, str, bytes]]) -> TemplateBatch:
    """Open the templates of one or more entries: (key, id, sealed template), by rising key."""
    keys, ids, sealed = zip(*rows, strict=True)
    opened = open_templates(tenant, pack, ids, sealed, size)
    numbers = np.array(keys, np.int64)
    if not opened.damaged:
        return TemplateBatch(numbers, opened.rows, by_row=True)
    sound, damaged = opened.sound, tuple(keys[position] for position in opened.damaged)
    return TemplateBatch(numbers[sound], opened.rows[sound], by_row=True, damaged=damaged)


def joined(batches: list[TemplateBatch]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give the keys and rows of one or more batches."""
    return np.concatenate([batch.keys for batch in batches]), np.concatenate([batch.rows for batch in batches])
