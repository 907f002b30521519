"""What a server does for galleries in shards: it finds the shards, and knows whether they answer."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, select

from likeness.errors import ServiceUnavailable
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.maintenance.upkeep import CLAIM_SECONDS, GalleryUpkeep
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import BLOCK_SPAN, GalleryRepository
from likeness.gallery.sharded.fan_out import FanOut, Replica
from likeness.gallery.sharded.shard import ShardStatus
from likeness.gallery.templates.blocks import seal_span
from likeness.gallery.views import GalleriesCondition
from likeness.store.database import Database
from likeness.store.tables import gallery_changes, gallery_entries
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")
STATUS_SECONDS = 2.0
"""How long a shard may take to state what it holds."""
MOST_LOST = 5
"""Looks in a row without any answer of a part, before its shards are looked for again."""


class StatedReplica(Replica, Protocol):
    """A replica that states what it holds."""

    async def status(self) -> ShardStatus:
        """Give what the shard holds. Raises any error of the way there."""


Parts = Sequence[Sequence[StatedReplica]]


class ShardWatch:
    """Looks at the shards again and again. ``find`` finds or starts them, and blocks."""

    def __init__(self, find: Callable[[], Parts]) -> None:
        self._find = find
        self._parts = find()
        self.fan_out = FanOut(self._parts)
        self._statuses: list[list[ShardStatus]] = [[] for _ in self._parts]
        """By part, the newest statuses of the replicas that answer."""
        self._lost = 0
        self.loaded = asyncio.Event()
        """Set once every part has answered."""

    @property
    def condition(self) -> GalleriesCondition:
        best = [max(part, key=lambda each: (each.loaded, each.entries), default=None) for part in self._statuses]
        found = [each for each in best if each]
        loaded = sum(each.loaded for each in found)
        return GalleriesCondition(
            status="ready" if loaded == len(best) else "loading",
            loaded=loaded,
            total=len(best),
            galleries=max((each.galleries for each in found), default=0),
            entries=sum(each.entries for each in found),
            largest=sum(each.largest for each in found),
            unreadable=sum(each.unreadable for each in found),
            refusing=max((each.refused for each in found), default=0),
        )

    async def look(self) -> None:
        """Ask each shard for its status. Find the shards again when a part has none for long. Raises SetupError."""
        asked = [[self._ask(replica) for replica in part] for part in self._parts]
        answers = await asyncio.gather(*(asyncio.gather(*part) for part in asked))
        self._statuses = [[status for status in part if status] for part in answers]
        self.fan_out.note_ready([[bool(status and status.loaded) for status in part] for part in answers])
        if self.condition.status == "ready":
            self.loaded.set()
        self._lost = 0 if all(self._statuses) else self._lost + 1
        if self._lost >= MOST_LOST:
            self._lost = 0
            self._parts = await asyncio.to_thread(self._find)
            self.fan_out.use(self._parts)

    @staticmethod
    async def _ask(replica: StatedReplica) -> ShardStatus | None:
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                return await replica.status()
        except Exception:  # noqa: BLE001  the way to another machine can fail in any way
            return None


class ShardedUpkeep(GalleryUpkeep):
    """The background work of one of the servers whose galleries are in shards."""

    def __init__(
        self,
        watched: ShardWatch,
        photos: EntryPhotos,
        sweep: PhotoSweep,
        database: Database,
        tenants: Tenants,
        packs: Packs,
    ) -> None:
        super().__init__(photos, sweep, database, tenants)
        self._watched = watched
        self._packs = packs
        self._sealed: dict[str, int] = {}
        """By tenant id, the number of the newest change whose span was looked at."""
        self._open: dict[str, set[int]] = {}
        """By tenant id, spans that may still get new entries."""

    async def load(self) -> None:
        await self._watched.loaded.wait()
        self._loaded.set()

    async def _sweep_daily(self) -> None:
        await self.call_rolls()  # shards do not when they load; what loads galleries into memory does
        await super()._sweep_daily()

    async def watch(self) -> None:
        before = ""
        while True:
            try:
                await self._watched.look()
                await self._database.keep_claim()
            except Exception as error:
                if isinstance(error, ServiceUnavailable):
                    log.warning("looking at the shards failed; trying again in %s s: %s", CLAIM_SECONDS, error)
                else:
                    log.exception("looking at the shards failed; trying again in %s s", CLAIM_SECONDS)
                await asyncio.sleep(CLAIM_SECONDS)
                continue
            now = self._watched.condition
            if now.status != before:
                log.info("%d of %d parts of the galleries are in shards that answer", now.loaded, now.total)
                before = now.status
            await asyncio.sleep(CLAIM_SECONDS if before == "ready" else 0.2)

    async def catch_up(self) -> None:
        """Do nothing: the shards follow the database by themselves."""

    async def seal_blocks(self, tenant: Tenant) -> None:
        rows = GalleryRepository(tenant.id)
        number, packs, newest = await self._database.read(lambda c: (rows.number(c), rows.packs(c), rows.newest_key(c)))
        if packs is None:
            return
        before = self._sealed.get(tenant.id)
        spans = self._open.get(tenant.id, set())
        if number != before:
            spans |= await self._database.read(partial(changed_spans, tenant_id=tenant.id, number=before))
        sizes = {}
        for pack in packs.enrolling:
            await self._packs.demand(pack)
            sizes[pack] = self._packs.engine(pack).pack.template_size
        ready = {span for span in spans if newest >= (span + 1) * BLOCK_SPAN}
        for span in sorted(ready):
            await self._database.write(partial(seal_span, tenant=tenant, sizes=sizes, span=span), gallery_of=tenant.id)
        self._open[tenant.id] = spans - ready
        self._sealed[tenant.id] = number


def changed_spans(connection: Connection, tenant_id: str, number: int | None) -> set[int]:
    """Give the spans that a change after a number concerns. None: all spans."""
    if number is None:
        keys, mine = gallery_entries.c.key, gallery_entries.c.tenant_id == tenant_id
    else:
        keys = gallery_changes.c.entry_key
        mine = (gallery_changes.c.tenant_id == tenant_id) & (gallery_changes.c.number > number) & keys.is_not(None)
    return set(connection.execute(select(keys // BLOCK_SPAN).where(mine).distinct()).scalars())
