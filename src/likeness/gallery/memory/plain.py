"""Small galleries, which a start reads many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.repository import NOT_REFUSED
from likeness.store.tables import galleries, gallery_blocks, gallery_entries, gallery_templates


@dataclass(frozen=True, slots=True)
class PlainGallery:
    """A small, usual gallery: every entry has one template, of the pack that answers, and there is no block."""

    pack: PackIdentity
    entries: Sequence[tuple[int, str, bytes]]
    """Key, id and sealed template, by rising key."""


def plain_galleries(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, PlainGallery]:
    """Read the galleries of some tenants at once. Galleries that are not plain are left out."""
    mine = galleries.c.tenant_id.in_(tenant_ids)
    answering = {
        row[0]: row[1]
        for row in connection.execute(
            select(galleries.c.tenant_id, galleries.c.pack).where(mine, galleries.c.shadow.is_(None))
        )
    }
    with_blocks = select(gallery_blocks.c.tenant_id).where(gallery_blocks.c.tenant_id.in_(tenant_ids)).distinct()
    for tenant_id in connection.execute(with_blocks).scalars():
        answering.pop(tenant_id, None)
    found: dict[str, list[tuple[int, str, bytes]]] = {tenant_id: [] for tenant_id in answering}
    query = (
        select(
            gallery_entries.c.tenant_id,
            gallery_entries.c.key,
            gallery_entries.c.id,
            gallery_templates.c.pack,
            gallery_templates.c.sealed_template,
        )
        .outerjoin(gallery_templates, gallery_templates.c.entry_key == gallery_entries.c.key)
        .where(gallery_entries.c.tenant_id.in_(answering), NOT_REFUSED)
        .order_by(gallery_entries.c.tenant_id, gallery_entries.c.key)
    )
    for tenant_id, key, entry_id, pack, sealed in connection.execute(query):
        if pack != answering[tenant_id]:
            found.pop(tenant_id, None)
        elif tenant_id in found:
            found[tenant_id].append((key, entry_id, sealed))
    return {tenant_id: PlainGallery(answering[tenant_id], entries) for tenant_id, entries in found.items()}


def recorded_galleries(connection: Connection) -> set[str]:
    """Give the ids of the tenants whose gallery has or had an entry."""
    return set(connection.execute(select(galleries.c.tenant_id)).scalars())
