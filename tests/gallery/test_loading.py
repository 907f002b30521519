"""Many galleries load with few queries and without a thread for each. The result is the same as one by one."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from composition import composed
from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.memory.gallery import Gallery
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.templates.sealing import seal_template
from likeness.kit.ids import new_id
from likeness.tenants.service import Tenant

MAIN, OTHER = PackIdentity("fake@1"), PackIdentity("fake-2@1")
PLAIN_TENANTS = 40
MOST_QUERIES = 30
"""Some queries for all, and a few for each of the three galleries that are not plain."""


def enrol(
    deployment: Deployment,
    galleries: LoadedGalleries,
    name: str,
    *templates: tuple[PackIdentity, ...],
    **shadow: PackIdentity,
) -> Tenant:
    """Make a tenant with an entry for each set of packs."""
    tenant = deployment.tenants.create(name)
    rows = GalleryRepository(tenant.id)

    def write(connection: Any) -> None:
        rows.set_packs(connection, GalleryPacks(MAIN, shadow.get("shadow")))
        for packs in templates:
            entry_id, sealed = new_id(), {}
            for pack in packs:
                row = np.eye(1, galleries.new_index(pack).dimension, dtype=np.float32)[0]
                sealed[pack] = seal_template(tenant, row, pack=pack, entry_id=entry_id)
            rows.add(connection, NewEntry(entry_id, None, {}, 90, None, 0.0, sealed))

    deployment.database.write_now(write)
    return tenant


def outline(gallery: Gallery) -> Any:
    snapshot = gallery.snapshot
    sizes = {pack: len(index) for pack, index in snapshot.indexes.items()}
    return (
        snapshot.pack,
        snapshot.shadow,
        sizes,
        dict(snapshot.orphans),
        gallery.unblocked_spans,
        gallery.unreadable,
        gallery.recorded,
    )


def test_many_galleries_are_loaded_as_each_by_itself_with_few_queries(tmp_path: Path) -> None:
    with composed(tmp_path) as (deployment, gallery):
        galleries = gallery.galleries
        tenants = [enrol(deployment, galleries, f"plain {n}", (MAIN,), (MAIN,)) for n in range(PLAIN_TENANTS)]
        tenants += [
            enrol(deployment, galleries, "moving", (MAIN, OTHER), (MAIN,), (OTHER,), shadow=OTHER),
            enrol(deployment, galleries, "left behind", (MAIN,), (OTHER,)),
            enrol(deployment, galleries, "bare", (MAIN,), ()),
            enrol(deployment, galleries, "emptied"),
        ]
        never = deployment.tenants.create("never used")
        said: list[str] = []
        event.listen(deployment.database._readers, "before_cursor_execute", lambda *call: said.append(call[2]))
        threads = threading.active_count()
        galleries.rebuild(deployment.database, [*tenants, never])
        queries = [statement for statement in said if statement.startswith("SELECT")]
        assert len(queries) <= MOST_QUERIES
        assert threading.active_count() <= threads + 1
        assert galleries.progress.loaded == 2 * PLAIN_TENANTS + 6
        together = {tenant.id: outline(galleries.gallery(tenant.id)) for tenant in (*tenants, never)}
        for tenant in (*tenants, never):
            deployment.database.read_now(lambda c, tenant=tenant: galleries._load(tenant, c))  # type: ignore[misc]
            assert together[tenant.id] == outline(galleries.gallery(tenant.id)), tenant.name


def test_an_upkeep_opens_no_key_again_and_writes_nothing_for_small_galleries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with composed(tmp_path) as (deployment, gallery):
        for n in range(3):
            enrol(deployment, gallery.galleries, f"plain {n}", (MAIN,))
        asyncio.run(gallery.upkeep.load())
        deployment.tenants.all()
        said: list[str] = []
        event.listen(deployment.database._writer.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
        monkeypatch.setattr(deployment.tenants, "_keys", None)  # a use of the keys fails
        asyncio.run(gallery.upkeep.tidy())
        assert not [statement for statement in said if "gallery" in statement]
