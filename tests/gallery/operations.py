"""Changes of galleries in a database. As a program it makes random ones: operations.py URL TENANT SEED COUNT."""

import random
import sys
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import Connection, insert, select

from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.reindex.repository import ReindexRepository
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.store.tables import galleries, gallery_entries, gallery_templates, tenants

OLD, NEW = PackIdentity("fake@1"), PackIdentity("fake-2@1")
PACKS = (OLD, NEW)
Rows = dict[tuple[int, str], bytes]
Seal = Callable[[PackIdentity, str], bytes]
"""Makes a sealed template of a pack for the entry with an id."""


def any_bytes(_pack: PackIdentity, _entry_id: str) -> bytes:
    return new_id().encode()


def new_gallery(database: Database) -> GalleryRepository:
    rows = GalleryRepository(new_id())
    tenant = {"id": rows.tenant_id, "name": rows.tenant_id, "settings": {}, "created_at": 0}

    def make(connection: Connection) -> None:
        connection.execute(insert(tenants).values(tenant))
        rows.set_packs(connection, GalleryPacks(OLD, None))

    database.write_now(make, gallery_of=rows.tenant_id)
    return rows


def new_entry(*packs: PackIdentity, external_id: str | None = None, seal: Seal = any_bytes) -> NewEntry:
    entry_id = new_id()
    sealed = {pack: seal(pack, entry_id) for pack in packs or (OLD,)}
    return NewEntry(entry_id, external_id, {}, 90, None, 0.0, sealed)


def stored(connection: Connection, tenant_id: str) -> tuple[Rows, tuple[str, str | None] | None]:
    """Give the templates by entry and pack, and the gallery's packs."""
    columns = gallery_templates.c
    query = select(columns.entry_key, columns.pack, columns.sealed_template).join(gallery_entries)
    found = connection.execute(query.where(gallery_entries.c.tenant_id == tenant_id)).all()
    packs = connection.execute(select(galleries.c.pack, galleries.c.shadow).where(galleries.c.tenant_id == tenant_id))
    row = packs.one_or_none()
    return {(key, pack): sealed for key, pack, sealed in found}, (row[0], row[1]) if row else None


OPERATIONS: dict[str, Callable[[Connection, GalleryRepository, list[int], PackIdentity, Seal], object]] = {
    "add": lambda c, rows, _keys, pack, seal: rows.add(c, new_entry(pack, seal=seal)),
    "add with both packs": lambda c, rows, _keys, _pack, seal: rows.add(c, new_entry(*PACKS, seal=seal)),
    "erase": lambda c, rows, keys, _pack, _seal: rows.erase(c, _id_of(c, keys)),
    "drop": lambda c, rows, keys, pack, _seal: rows.drop_template(c, keys[0] if keys else 0, pack),
    "replace": lambda c, rows, keys, pack, seal: rows.replace_template(
        c, keys[0] if keys else 0, pack, seal(pack, _id_of(c, keys))
    ),
    "fill": lambda c, rows, keys, pack, seal: rows.add_templates(
        c, pack, {key: seal(pack, _id_of(c, [key])) for key in keys[:3]}
    ),
    "finish": lambda c, rows, keys, pack, _seal: ReindexRepository(rows.tenant_id).delete_superseded(c, pack, keys[:3]),
    "abandon": lambda c, rows, keys, pack, _seal: ReindexRepository(rows.tenant_id).delete_surplus(c, pack, keys[:3]),
    "cut over": lambda c, rows, _keys, pack, _seal: rows.set_packs(c, GalleryPacks(pack, None)),
    "shadow": lambda c, rows, _keys, pack, _seal: rows.set_packs(c, GalleryPacks(pack, OLD)),
    "forget photo": lambda c, rows, keys, _pack, _seal: rows.forget_image(c, _id_of(c, keys)),
}


def _id_of(connection: Connection, keys: list[int]) -> str:
    query = select(gallery_entries.c.id).where(gallery_entries.c.key == (keys[0] if keys else 0))
    return connection.execute(query).scalar_one_or_none() or "nobody"


def change_at_random(database: Database, rows: GalleryRepository, seed: int, count: int, seal: Seal = any_bytes) -> int:
    """Make ``count`` changes, most of them new entries. Give how many the database refused."""
    chance, refused = random.Random(seed), 0

    def change(connection: Connection) -> None:
        rows.lock(connection)
        keys = [entry.key for entry in rows.page(connection, after_key=0, limit=1000)]
        keys = keys[chance.randrange(len(keys)) :] if keys else []
        name = chance.choice([*OPERATIONS, *["add", "add with both packs"] * 3])
        OPERATIONS[name](connection, rows, keys, chance.choice(PACKS), seal)

    for _ in range(count):
        try:
            database.write_now(change, gallery_of=rows.tenant_id)
        except ServiceUnavailable:
            refused += 1
    return refused


if __name__ == "__main__":
    url, tenant_id, seed, count = sys.argv[1:]
    with closing(Database(url)) as database:
        sys.stdout.write(str(change_at_random(database, GalleryRepository(tenant_id), int(seed), int(count))))
