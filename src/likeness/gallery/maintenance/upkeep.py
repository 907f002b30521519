"""A server's background work for its galleries: it loads them at start, and keeps the stored data tidy.

Every server loads its galleries, watches them, and deletes the photos that its own calls gave up. Of the servers on a
database, only one does the rest at a time: ``GalleryUpkeep.run``.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial

from likeness.errors import LikenessError
from likeness.gallery.idempotency import AnswerAges
from likeness.gallery.maintenance.roll_call import call_rolls, refuse_surplus
from likeness.gallery.maintenance.sweep import DAY_SECONDS, SWEEPS, PhotoSweep, log_findings
from likeness.gallery.photos import EntryPhotos
from likeness.kit.repeating import repeat_forever
from likeness.store.database import Database
from likeness.store.sharing.changes import TRIMMED_AT_ONCE, trim_changes
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")
RETRY_SECONDS = 15.0
CLAIM_SECONDS = 2.0
"""How often the claim on the database is checked while there are no writes."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
"""Pauses between two attempts to load again."""
GENERATION_SECONDS = 3600.0
"""An older copy of the database is always recognised as a copy."""


class GalleryUpkeep(ABC):
    """The background work for all galleries: load them at start, sweep photos, seal blocks, drop old answers."""

    def __init__(self, photos: EntryPhotos, sweep: PhotoSweep, database: Database, tenants: Tenants) -> None:
        self._photos = photos
        self._sweep = sweep
        self._database = database
        self._tenants = tenants
        self._ages = AnswerAges(database)
        self._loaded = asyncio.Event()
        self._stopped = False

    async def run(self) -> None:
        """Once the galleries are loaded, sweep the photos and tidy, again and again."""
        self._ages = AnswerAges(self._database)  # it counts the hours from now on, not those that another server counts
        await self._loaded.wait()
        await asyncio.gather(self._sweep_daily(), repeat_forever(self.tidy))

    async def _sweep_daily(self) -> None:
        await self.sweep_photos()
        hours = 0
        while True:
            await asyncio.sleep(GENERATION_SECONDS)
            hours += 1
            await self._trim_changes()
            if hours * GENERATION_SECONDS % DAY_SECONDS:
                await self._begin_generation()
            else:
                await self.call_rolls()
                await self.sweep_photos()

    @abstractmethod
    async def load(self) -> None:
        """Try to load the galleries until it succeeds."""

    @abstractmethod
    async def watch(self) -> None:
        """Keep the claim on the database and the galleries, until cancelled."""

    @abstractmethod
    async def catch_up(self) -> None:
        """Load galleries again that differ from the database. Raises ServiceUnavailable."""

    @abstractmethod
    async def seal_blocks(self, tenant: Tenant) -> None:
        """Seal the templates that are in no block, for the next start. Spans that may get new entries are left out."""

    def stop(self) -> None:
        """Stop loading and sweeping."""
        self._stopped = True

    async def sweep_photos(self) -> None:
        """Sweep until every tenant's photos were swept."""
        tenants, pause = None, RETRY_SECONDS
        while not self._stopped:
            try:
                await self._photos.recall_overdue()
                if tenants is None:
                    tenants = await asyncio.to_thread(self._tenants.all)
                findings = await self._sweep.run(tenants)
                log_findings(findings)
            except LikenessError as error:
                SWEEPS.add("failed")
                log.warning("sweeping photos failed; trying again in %s s: %s", pause, error)
            else:
                SWEEPS.add("failed" if findings.failed else "done")
                tenants = [tenant for tenant in tenants if tenant.id in findings.failed]
                if not tenants:
                    return
                log.warning("the photos of %d tenants cannot be swept; trying again in %s s", len(tenants), pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, GENERATION_SECONDS)

    async def call_rolls(self) -> None:
        """Compare every gallery with its roll, and let no search find entries that were put back."""
        try:
            for tenant in await asyncio.to_thread(self._tenants.all):
                faults = await self._database.read(partial(call_rolls, tenant_ids=[tenant.id]))
                for fault in faults.values():
                    refuse = partial(refuse_surplus, tenant_id=tenant.id, fault=fault)
                    await self._database.write(refuse, gallery_of=tenant.id)
                    self.differs(tenant.id)
        except LikenessError as error:
            log.warning("the galleries could not be compared with their rolls: %s", error)

    def differs(self, tenant_id: str) -> None:  # noqa: B027  shards read the log of changes
        """Take notice that a gallery's entries are not those of its roll."""

    async def _begin_generation(self) -> None:
        try:
            if not await self._sweep.generations.begin_next():
                log.error(
                    "another database uses these photos, too: no photo that this database does not name is moved or "
                    "deleted"
                )
        except LikenessError as error:
            log.warning("a new generation of the photos could not begin: %s", error)

    async def _trim_changes(self) -> None:
        """Delete the oldest rows of the galleries' log, a part at a time, so that other changes come between."""
        try:
            while await self._database.write(trim_changes) == TRIMMED_AT_ONCE:
                pass
        except LikenessError as error:
            log.warning("the log of the galleries' changes could not be trimmed: %s", error)

    async def tidy(self) -> None:
        """Delete old answers to repeated requests, and seal templates in blocks."""
        await self._ages.advance()
        tenants = await asyncio.to_thread(self._tenants.all)
        for tenant in tenants:
            await self.seal_blocks(tenant)

    async def delete_photos(self) -> None:
        """Delete overdue photos, until cancelled. Try again when the store is slow or down."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._photos.due.wait(), RETRY_SECONDS)
            self._photos.due.clear()
            try:
                await self._photos.delete_overdue()
            except Exception as error:
                if not isinstance(error, LikenessError):
                    log.exception("deleting photos failed; trying again")
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_SECONDS)
                self._photos.due.set()
            else:
                pause = FIRST_PAUSE_SECONDS
