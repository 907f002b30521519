"""The background work for galleries in memory: their loading, the claim on the database, blocks for the next start."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

from likeness.errors import ServiceUnavailable
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.maintenance.upkeep import (
    CLAIM_SECONDS,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RETRY_SECONDS,
    GalleryUpkeep,
)
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.templates import blocks
from likeness.gallery.templates.blocks import seal_span
from likeness.store.database import Database
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")


class MemoryUpkeep(GalleryUpkeep):
    """The background work of the one server that holds the galleries."""

    def __init__(
        self, galleries: LoadedGalleries, photos: EntryPhotos, sweep: PhotoSweep, database: Database, tenants: Tenants
    ) -> None:
        super().__init__(photos, sweep, database, tenants)
        self._galleries = galleries

    async def load(self) -> None:
        """Try to load the galleries until it succeeds."""
        while not (self._galleries.progress.done or self._galleries.stopped):
            try:
                tenants = await asyncio.to_thread(self._tenants.all)
                await asyncio.to_thread(self._galleries.rebuild, self._database, tenants)
            except Exception:
                log.exception("loading the galleries failed; trying again in %s s", RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
        self._loaded.set()

    async def watch(self) -> None:
        """Take the claim on the database again when it was lost, and load stale galleries again.

        Begin at once, and try until it succeeds.
        """
        loop, wanted, pause = asyncio.get_running_loop(), asyncio.Event(), FIRST_PAUSE_SECONDS

        def attend() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(wanted.set)

        self._galleries.attention = attend
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(wanted.wait(), CLAIM_SECONDS)
            wanted.clear()
            try:
                await self._database.keep_claim()
                await self.catch_up()
            except Exception as error:
                if not isinstance(error, ServiceUnavailable):
                    log.exception("loading a gallery again failed")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                wanted.set()
            else:
                pause = FIRST_PAUSE_SECONDS

    async def catch_up(self) -> None:
        """Load stale galleries again. Raises ServiceUnavailable."""
        if self._galleries.progress.done and self._galleries.behind:
            tenants = {tenant.id: tenant for tenant in await asyncio.to_thread(self._tenants.all)}
            await self._galleries.reload(self._database, tenants)

    async def seal_blocks(self, tenant: Tenant) -> None:
        """Seal the templates that are in no block, for the next start. Spans that may get new entries are left out."""
        gallery = self._galleries.gallery(tenant.id)
        if gallery.snapshot.size < blocks.FEWEST_ROWS:  # no span has enough for a block
            return
        sizes = {pack: index.dimension for pack, index in gallery.snapshot.indexes.items()}
        for span in sorted(gallery.unblocked_spans):
            await self._database.write(
                partial(seal_span, tenant=tenant, sizes=sizes, span=span),
                after_commit=lambda sealed, span=span: gallery.block(sealed, span) if sealed.result else None,  # type: ignore[misc]
                gallery_of=tenant.id,
            )

    def differs(self, tenant_id: str) -> None:
        self._galleries.mark_stale(tenant_id)

    def stop(self) -> None:
        super().stop()
        self._galleries.stop()
