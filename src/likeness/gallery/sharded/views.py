"""The galleries in shards, as the calls of one of several processes see them.

A view names the newest change that the database has committed at its start. Each search covers that change. So a client
finds what it was told, by whichever process.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Transaction

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery.packs import Packs
from likeness.gallery.repository import GalleryPacks, GalleryRepository, common_pack
from likeness.gallery.sharded.fan_out import FanOut
from likeness.gallery.sharded.newest import NewestChanges
from likeness.gallery.sharded.shard import NOTHING, NumberedAnswer, OrphanQuery, ShardQuery
from likeness.gallery.sharded.state import GalleryState, SizeAt, gallery_state
from likeness.gallery.views import RESCANS, SCAN_SECONDS, GalleryMoved, NewTemplates, ScanResult, keys_of
from likeness.index.base import Answer
from likeness.store.database import Database
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant

SEARCH_SECONDS = 5.0
TENANTS_HELD = 256


class GalleriesInShards:
    """``Galleries`` that shards hold. One event loop and the writer's thread use it."""

    def __init__(self, packs: Packs, database: Database, fan_out: FanOut) -> None:
        self.packs = packs
        self.database = database
        self.fan_out = fan_out
        self.orphaned: dict[str, frozenset[PackIdentity]] = {}
        """By tenant id, packs that shards have named: some entries have a template of no other searched pack."""
        self._sizes: dict[str, SizeAt] = {}
        self._newest: dict[tuple[str, PackIdentity], NewestChanges] = {}
        self._lock = Lock()

    @property
    def loaded(self) -> bool:
        return True

    async def view(self, tenant: Tenant) -> "_View":
        """Give a tenant's gallery as the database has it now. Raises ServiceUnavailable."""
        known = self._sizes.get(tenant.id)
        state = await self.database.read(lambda c: gallery_state(c, tenant.id, known))
        if state is None:
            common = await self.database.read(common_pack)
            state = GalleryState(0, GalleryPacks(common or self.packs.main, None), 0)
        elif known is None or known.number < state.number:
            self._sizes[tenant.id] = SizeAt(state.number, state.size)
        orphaned = self.orphaned.get(tenant.id, frozenset())
        for pack in (*state.packs.enrolling, *orphaned):
            await self._load(pack)
        return _View(self, tenant, state, orphaned)

    async def _load(self, pack: PackIdentity) -> None:
        try:
            await self.packs.demand(pack)
        except SetupError as error:
            raise ServiceUnavailable(f"The gallery is not served: {error}.") from error

    def newest(self, tenant: Tenant, pack: PackIdentity, transaction: Transaction | None = None) -> NewestChanges:
        """Give the newest changes of a gallery. With the writer's ``transaction``, drop those that nobody needs."""
        with self._lock:
            if transaction and len(self._newest) > TENANTS_HELD:
                self._newest = {key: each for key, each in self._newest.items() if not each.is_idle(transaction)}
            held = self._newest.get((tenant.id, pack))
            if held is None:
                size = self.packs.engine(pack).pack.template_size
                held = self._newest[tenant.id, pack] = NewestChanges(tenant, pack, size)
        return held

    def added(
        self, written: Committed[Any], tenant_id: str, key: int, templates: Mapping[PackIdentity, Template]
    ) -> None:
        """Do nothing: the shards read the log."""

    def removed(self, erased: Committed[Any], tenant_id: str, key: int) -> None:
        """Do nothing: the shards read the log."""

    def set_packs(self, connection: Connection, tenant: Tenant, packs: GalleryPacks) -> None:
        """Change the packs in the database."""
        rows = GalleryRepository(tenant.id)
        if rows.packs(connection) not in {packs, None}:
            rows.set_packs(connection, packs)

    def packs_set(self, written: Committed[Any], tenant_id: str, change: object) -> None:
        """Do nothing: the shards read the log."""

    def add_templates(
        self, connection: Connection, tenant: Tenant, pack: PackIdentity, sealed: Mapping[int, bytes]
    ) -> NewTemplates:
        return NewTemplates(GalleryRepository(tenant.id).add_templates(connection, pack, sealed))

    def templates_added(
        self, written: Committed[Any], tenant_id: str, added: NewTemplates, templates: Mapping[int, Template]
    ) -> None:
        """Do nothing: the shards read the log."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A ``GalleryView`` of the newest change that was committed at its start."""

    galleries: GalleriesInShards
    tenant: Tenant
    state: GalleryState
    orphaned: frozenset[PackIdentity]

    @property
    def pack(self) -> PackIdentity:
        return self.state.packs.pack

    @property
    def enrolling(self) -> tuple[PackIdentity, ...]:
        return self.state.packs.enrolling

    @property
    def searched(self) -> tuple[PackIdentity, ...]:
        return (self.pack, *sorted(self.orphaned - {self.pack}))

    @property
    def size(self) -> int:
        return self.state.size

    def watch(self) -> AbstractContextManager[int]:
        return self.galleries.newest(self.tenant, self.pack).watch(self.state.number, self.size)

    async def scan(
        self, templates: Mapping[PackIdentity, Template], thresholds: Mapping[PackIdentity, float], *, count: int
    ) -> ScanResult:
        orphans = {
            pack: OrphanQuery(templates[pack], threshold)
            for pack, threshold in thresholds.items()
            if pack != self.pack and pack in templates
        }
        rows, number = GalleryRepository(self.tenant.id), self.state.number
        for _ in range(RESCANS):
            found = await self._search(
                ShardQuery(self.tenant.id, self.pack, templates[self.pack], number, count, orphans=orphans)
            )
            if found.orphaned != self.orphaned:
                self.galleries.orphaned[self.tenant.id] = found.orphaned
                if found.orphaned - set(thresholds):
                    raise GalleryMoved
            answers = {self.pack: found.answer, **found.orphans}
            keys = keys_of(answers)
            entries = await self.galleries.database.read(partial(rows.find_keys, keys=keys)) if keys else {}
            result = ScanResult(answers, entries)
            if result.is_whole:
                return result
            if await self.galleries.database.read(partial(rows.altered, keys=result.lacking)):
                refuse = partial(rows.refuse_altered, keys=result.lacking)
                await self.galleries.database.write(refuse, gallery_of=self.tenant.id)
            # An entry was erased meanwhile. The entries that rank after it must not be missed, so search without it.
            number = await self.galleries.database.read(rows.number)
        raise ServiceUnavailable("The gallery changes too fast to be searched now; try again shortly.")

    async def nearest(self, pack: PackIdentity, template: Template, *, k: int) -> Answer:
        return (await self._search(ShardQuery(self.tenant.id, pack, template, self.state.number, k))).answer

    async def _search(self, query: ShardQuery) -> NumberedAnswer:
        if not query.number:  # there is no gallery yet, so no shard knows it
            return NumberedAnswer(NOTHING, 0, dict.fromkeys(query.orphans, NOTHING))
        began = time.monotonic()
        answer = await self.galleries.fan_out.search(query, seconds=SEARCH_SECONDS)
        SCAN_SECONDS.add(time.monotonic() - began)
        return answer

    def present(self, connection: Connection) -> NewestChanges:
        rows = GalleryRepository(self.tenant.id)
        rows.lock(connection)
        if not self.state.number:
            rows.add_packs(connection, self.state.packs)
        newest = self.galleries.newest(self.tenant, self.pack, connection.get_transaction())
        if newest.enter(connection, self.state.number, self.size) != self.state.packs:
            raise GalleryMoved
        return newest
