"""The pairs of a gallery's entries that may be one person: all pairs with a score at or above a level, exactly.

All templates of a pack are compared with each other, in blocks of matrix products. A score near the threshold is
computed exactly. Entries whose templates belong to different packs cannot be compared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates.blocks import joined, stored_templates
from likeness.gallery.templates.sealing import open_templates
from likeness.index.scores import exact_scores
from likeness.tenants.service import Tenant

_MARGIN = 1e-3
"""More than the error of float32 arithmetic."""
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """The templates of one pack: rows (n, d) float32 of the entries with these keys."""

    pack: PackIdentity
    keys: NDArray[np.int64]
    rows: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries, by key, and the score of their templates."""

    first: int
    second: int
    score: float
    pack: PackIdentity


def read_templates(
    connection: Connection, tenant: Tenant, main: PackIdentity, size_of: Callable[[PackIdentity], int]
) -> list[Templates]:
    """Read a gallery's templates in groups by pack.

    The first group has the templates of the pack ``main``. The others have the entries without a template of it.
    ``size_of`` gives the length of a pack's templates. Damaged templates are left out.
    """
    batches = list(stored_templates(connection, tenant, main, size_of(main)))
    groups = [Templates(main, *joined(batches))] if batches else []
    for pack, found in GalleryRepository(tenant.id).orphan_templates(connection, (main,)).items():
        keys, ids, sealed = zip(*found, strict=True)
        opened = open_templates(tenant, pack, ids, sealed, size_of(pack))
        groups.append(Templates(pack, np.array(keys, np.int64)[opened.sound], opened.rows[opened.sound]))
    return groups


def pairs(templates: Templates, threshold: float, progress: Callable[[int], None]) -> Iterator[Pair]:
    """Give all pairs at or above a score. ``progress`` gets how many entries were compared with all before them."""
    rows, keys = templates.rows, templates.keys
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        for begin in range(0, start + len(block), _BLOCK_ROWS):
            others = rows[begin : begin + _BLOCK_ROWS]
            near = block @ others.T >= threshold - _MARGIN
            if begin == start:
                near = np.tril(near, -1)
            for row in np.flatnonzero(near.any(axis=1)):
                columns = np.flatnonzero(near[row])
                for column, score in zip(columns, exact_scores(others[columns], block[row]), strict=True):
                    if score >= threshold:
                        yield Pair(int(keys[begin + column]), int(keys[start + row]), float(score), templates.pack)
        progress(start + len(block))
