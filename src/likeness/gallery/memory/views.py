"""The galleries in this process's memory, as the calls see them."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.memory.gallery import Gallery, GallerySnapshot
from likeness.gallery.memory.recent import RecentEnrolments
from likeness.gallery.repository import GalleryPacks, GalleryRepository, common_pack
from likeness.gallery.views import RESCANS, SCAN_SECONDS, GalleryMoved, NewTemplates, ScanResult, keys_of
from likeness.index.base import Answer
from likeness.index.merging import outside
from likeness.kit.executors import SizedExecutor
from likeness.store.database import Database
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
RESCAN_PAUSE_SECONDS = 0.01


class GalleriesInMemory:
    """``Galleries`` of one process, which owns the database. ``scans`` runs the searches."""

    def __init__(self, held: LoadedGalleries, database: Database, scans: SizedExecutor) -> None:
        self.held = held
        self.database = database
        self.scans = scans

    @property
    def loaded(self) -> bool:
        return self.held.progress.done

    async def view(self, tenant: Tenant) -> "_View":
        """Give a tenant's gallery as it is now. Raises ServiceUnavailable when it must not answer."""
        gallery = self.held.ready(tenant.id)
        return _View(self, tenant, gallery.snapshot, gallery.recent)

    def added(
        self, written: Committed[Any], tenant_id: str, key: int, templates: Mapping[PackIdentity, Template]
    ) -> None:
        self.held.feed(tenant_id, lambda gallery: gallery.add(written, key, templates))

    def removed(self, erased: Committed[Any], tenant_id: str, key: int) -> None:
        self.held.feed(tenant_id, lambda gallery: gallery.remove(erased, key))

    async def refuse_altered(self, tenant_id: str, keys: Collection[int]) -> None:
        """Let no search find those of these entries again that were altered."""

        def forget(refused: Committed[list[int]]) -> None:
            for key in refused.result:
                self.removed(refused, tenant_id, key)

        rows = GalleryRepository(tenant_id)
        if await self.database.read(lambda c: rows.altered(c, keys)):
            await self.database.write(lambda c: rows.refuse_altered(c, keys), after_commit=forget, gallery_of=tenant_id)

    def set_packs(self, connection: Connection, tenant: Tenant, packs: GalleryPacks) -> "_NewSnapshot":
        """Change the packs in the database, and prepare the snapshot that memory shows after the commit."""
        held = self.held
        before = held.gallery(tenant.id).snapshot
        if (before.pack, before.shadow) == (packs.pack, packs.shadow):
            return _NewSnapshot(before.with_orphans(held.orphans(tenant, connection, before.enrolling)), held.common)
        GalleryRepository(tenant.id).set_packs(connection, packs)
        if packs.pack != before.pack:
            return _NewSnapshot(before.swapped(), common_pack(connection))
        if packs.shadow is None:
            after = before.without_shadow(held.orphans(tenant, connection, (packs.pack,)))
        else:
            there = before.indexes.get(packs.shadow)
            after = before.with_shadow(packs.shadow, held.new_index(packs.shadow) if there is None else there)
        return _NewSnapshot(after, held.common)

    def packs_set(self, written: Committed[Any], tenant_id: str, change: object) -> None:
        assert isinstance(change, _NewSnapshot)
        self.held.set_common_pack(change.common)
        self.held.feed(tenant_id, lambda gallery: gallery.show(written, change.snapshot))

    def add_templates(
        self, connection: Connection, tenant: Tenant, pack: PackIdentity, sealed: Mapping[int, bytes]
    ) -> NewTemplates:
        keys = GalleryRepository(tenant.id).add_templates(connection, pack, sealed)
        snapshot = self.held.gallery(tenant.id).snapshot
        adopted = any(key in snapshot.indexes[old] for old in snapshot.old_packs for key in keys)
        return NewTemplates(keys, self.held.orphans(tenant, connection, snapshot.enrolling) if adopted else None)

    def templates_added(
        self, written: Committed[Any], tenant_id: str, added: NewTemplates, templates: Mapping[int, Template]
    ) -> None:
        if added.keys:
            rows = np.stack([templates[key] for key in added.keys])
            self.held.feed(
                tenant_id, lambda gallery: gallery.add_shadows(written, added.keys, rows, orphans=added.orphans)
            )


@dataclass(frozen=True, slots=True)
class _NewSnapshot:
    snapshot: GallerySnapshot
    common: PackIdentity | None
    """The pack that all galleries then answer with."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A ``GalleryView`` of one snapshot."""

    galleries: GalleriesInMemory
    tenant: Tenant
    snapshot: GallerySnapshot
    recent: RecentEnrolments

    @property
    def pack(self) -> PackIdentity:
        return self.snapshot.pack

    @property
    def enrolling(self) -> tuple[PackIdentity, ...]:
        return self.snapshot.enrolling

    @property
    def searched(self) -> tuple[PackIdentity, ...]:
        return self.snapshot.searched

    @property
    def size(self) -> int:
        return self.snapshot.size

    def watch(self) -> AbstractContextManager[int]:
        return self.recent.watch()

    async def scan(
        self, templates: Mapping[PackIdentity, Template], thresholds: Mapping[PackIdentity, float], *, count: int
    ) -> ScanResult:
        held = self.galleries.held
        for _ in range(RESCANS):
            scan = await self.galleries.scans.run(self._scan, templates, thresholds, count=count)
            if scan.is_whole:
                return scan
            await self.galleries.refuse_altered(self.tenant.id, scan.lacking)
            # An entry was erased between the scan and the query. The entries that rank after it must not be missed, so
            # scan again without it. But an index that is no longer fed would give the entry again.
            present = held.ready(self.tenant.id).snapshot.indexes
            if any(present.get(pack) is not self.snapshot.indexes[pack] for pack in scan.answers):
                raise GalleryMoved
            await asyncio.sleep(RESCAN_PAUSE_SECONDS)
        held.mark_stale(self.tenant.id)
        raise ServiceUnavailable("The gallery is being loaded again; try again shortly.")

    def _scan(
        self, templates: Mapping[PackIdentity, Template], thresholds: Mapping[PackIdentity, float], *, count: int
    ) -> ScanResult:
        """Scan, and read the entries of the hits. Blocks.

        The scan and the query share one thread, because a change of thread takes longer than the query.
        """
        began, snapshot = time.monotonic(), self.snapshot
        answers: dict[PackIdentity, Answer] = {}
        for pack in thresholds.keys() & templates.keys():
            if pack == snapshot.pack:
                answers[pack] = snapshot.index.search(templates[pack], k=count)
            else:
                found = snapshot.indexes[pack].above(templates[pack], thresholds[pack])
                answers[pack] = outside(found, snapshot.index)
        SCAN_SECONDS.add(time.monotonic() - began)
        keys = keys_of(answers)
        rows = GalleryRepository(self.tenant.id)
        entries = self.galleries.database.read_now(lambda c: rows.find_keys(c, keys)) if keys else {}
        return ScanResult(answers, entries)

    async def nearest(self, pack: PackIdentity, template: Template, *, k: int) -> Answer:
        return await self.galleries.scans.run(self.snapshot.indexes[pack].search, template, k=k)

    def present(self, connection: Connection) -> "_Present":
        # A gallery that misses a commit could enrol a person a second time.
        gallery = self.galleries.held.ready(self.tenant.id)
        gallery.recent.enter(connection.get_transaction())
        if gallery.snapshot.enrolling != self.snapshot.enrolling or gallery.recent is not self.recent:
            raise GalleryMoved
        if not gallery.recorded:
            packs = GalleryPacks(self.snapshot.pack, self.snapshot.shadow)
            GalleryRepository(self.tenant.id).set_packs(connection, packs)
        return _Present(gallery)


@dataclass(frozen=True, slots=True)
class _Present:
    """A ``PresentGallery``."""

    gallery: Gallery

    @property
    def size(self) -> int:
        return self.gallery.snapshot.size + self.gallery.recent.unindexed

    def matches_since(self, position: int, template: Template, minimum_score: float) -> Iterable[tuple[int, float]]:
        return self.gallery.recent.matches_since(position, template, minimum_score)

    def record(self, key: int, template: Template) -> None:
        self.gallery.recent.record(key, template)
