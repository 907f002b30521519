"""What a server does for its galleries beside answering: loading them at start, and clearing away."""

import asyncio
import logging
from functools import partial

from likeness.errors import LikenessError
from likeness.gallery.blocks import seal_span
from likeness.gallery.galleries import Galleries
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import forget_answers
from likeness.kit.clock import Clock
from likeness.store.database import Database
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")
IDEMPOTENCY_TTL_SECONDS = 86_400
RETRY_SECONDS = 15.0


class GalleryUpkeep:
    def __init__(
        self, galleries: Galleries, photos: EntryPhotos, database: Database, tenants: Tenants, clock: Clock
    ) -> None:
        self._galleries = galleries
        self._photos = photos
        self._database = database
        self._tenants = tenants
        self._clock = clock

    async def load(self) -> None:
        """Load the galleries, again and again until it succeeds, then sweep the photos that a crash left to nobody."""
        while not (self._galleries.progress.done or self._galleries.stopped):
            try:
                tenants = await asyncio.to_thread(self._tenants.all)
                await asyncio.to_thread(self._galleries.rebuild, self._database, tenants)
            except Exception:
                log.exception("loading the galleries failed; trying again in %s s", RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
        await self._sweep()

    async def _sweep(self) -> None:
        """Delete the photos of no entry, again and again until every tenant's are looked at."""
        looked_at: set[str] = set()
        while not self._galleries.stopped:
            try:
                for tenant in await asyncio.to_thread(self._tenants.all):
                    if tenant.id not in looked_at:
                        swept = await self._photos.sweep(tenant)
                        looked_at.add(tenant.id)
                        if swept:
                            log.warning(
                                "%d photos of tenant %s belonged to no entry and were deleted", swept, tenant.id
                            )
            except LikenessError as error:
                log.warning("sweeping photos failed; trying again in %s s: %s", RETRY_SECONDS, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def tidy(self) -> None:
        """Load again what is behind the database, drop old idempotency keys, seal templates in blocks."""
        tenants = {tenant.id: tenant for tenant in await asyncio.to_thread(self._tenants.all)}
        await self._galleries.reload(self._database, tenants)
        before = self._clock.now() - IDEMPOTENCY_TTL_SECONDS
        await self._database.write(lambda c: forget_answers(c, before=before))
        for tenant in tenants.values():
            await self.seal_blocks(tenant)

    async def delete_photos(self) -> None:
        """Delete overdue photos, as long as it takes: the store may be slow, or down. Raises ServiceUnavailable."""
        await self._photos.delete_overdue()

    async def seal_blocks(self, tenant: Tenant) -> None:
        """Seal the templates that lie loose, as far as no more will come between them, for the next start."""
        gallery = self._galleries.gallery(tenant.id)
        for span in sorted(gallery.loose):
            await self._database.write(
                partial(seal_span, tenant=tenant, packs=tuple(gallery.view.indexes), span=span),
                after_commit=lambda sealed, span=span: gallery.loose.discard(span) if sealed else None,  # type: ignore[misc]
            )

    def stop(self) -> None:
        """Give loading up."""
        self._galleries.stop()
