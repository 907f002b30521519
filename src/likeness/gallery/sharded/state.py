"""A gallery's state by the database: its newest change, its packs and its size, in one query."""

import sys
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, literal_column, select

from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.store.sharing.changes import KEPT_CHANGES, ChangeKind
from likeness.store.statements import PreparedQuery
from likeness.store.tables import galleries, gallery_changes


@dataclass(frozen=True, slots=True)
class SizeAt:
    """A gallery's number of entries after the change ``number``."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class GalleryState:
    """A gallery after the change ``number``. The number is 0 if there is no gallery yet."""

    number: int
    packs: GalleryPacks
    size: int


def gallery_state(connection: Connection, tenant_id: str, known: SizeAt | None) -> GalleryState | None:
    """Give a gallery's state, or None before its first entry.

    ``known`` is an earlier size, so that only the changes since then are counted, and not all entries.
    """
    since = known.number if known else sys.maxsize  # without an earlier size, all entries are counted below
    found = _STATE(connection, tenant=tenant_id, since=since)
    if not found:
        return None
    number, pack, shadow, added, erased = found[0]
    packs = GalleryPacks(pack, shadow)
    if known is None or not known.number <= number <= known.number + KEPT_CHANGES:
        return GalleryState(number, packs, GalleryRepository(tenant_id).count(connection))
    return GalleryState(number, packs, known.size + added - erased)


def _count(kind: ChangeKind) -> object:
    return (
        select(func.count())
        .where(
            gallery_changes.c.tenant_id == galleries.c.tenant_id,
            gallery_changes.c.number > bindparam("since"),
            gallery_changes.c.kind == literal_column(f"'{kind}'"),
        )
        .scalar_subquery()
    )


_STATE = PreparedQuery(
    select(
        *(galleries.c.number, galleries.c.pack, galleries.c.shadow),
        *(_count(kind) for kind in (ChangeKind.ADDED, ChangeKind.ERASED)),
    ).where(galleries.c.tenant_id == bindparam("tenant"))
)
