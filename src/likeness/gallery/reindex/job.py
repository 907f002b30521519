"""The re-index: the move of a gallery to another model pack while it answers.

The command line writes the operator's requests into the database. The server owns the galleries, and carries the
requests out here. Every step is one transaction, and the next step can begin from its result. So a server that is
killed half-way continues at its next start:

    waiting → filling → ready → cut over → finishing → gone
                          ↑________|           (roll back)
    any of the first three → abandoning → gone

While the gallery fills, the new pack is its *shadow*. New entries are enrolled with both packs. Older entries get
templates from their stored photos. A cut-over swaps pack and shadow: in the database in one transaction, and in memory
in one assignment, while no other change is under way. So does a rollback. A running search continues with its snapshot.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from sqlalchemy import Connection

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ErrorCode, LikenessError, ServiceUnavailable, SetupError
from likeness.gallery.decision import decide
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.reindex.comparison import Nearest, compare_packs, other_than
from likeness.gallery.reindex.repository import (
    PHOTO_MISSING,
    REQUESTS_IN,
    Reindex,
    ReindexRepository,
    ReindexRequest,
    ReindexState,
    StoredPhoto,
    all_reindexes,
)
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.templates.sealing import Opened, open_templates, seal_template
from likeness.gallery.views import Galleries, NewTemplates
from likeness.kit.clock import Clock
from likeness.kit.fairness import BACKGROUND, OWNER
from likeness.store.database import Database
from likeness.store.writer import Committed
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")
T = TypeVar("T")
POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0
BATCH = 16
DELETED_AT_ONCE = 1000
ERASED_AT_ONCE = 1000
COMPARED_ENTRIES = 1000
"""Number of entries that the comparison of two packs uses. A larger gallery is sampled."""


@dataclass(frozen=True, slots=True)
class ReindexServices:
    """The services that every re-index uses."""

    packs: Packs
    galleries: Galleries
    photos: EntryPhotos
    database: Database
    erase: Callable[[Tenant, str], Awaitable[None]]
    clock: Clock
    photos_at_once: int
    """Number of photos to process at once. The other workers are for the callers."""


class Reindexer:
    """Carries out all re-indexes, one batch of each in turn, until it is cancelled."""

    def __init__(self, services: ReindexServices, tenants: Tenants) -> None:
        self._services = services
        self._tenants = tenants
        self._positions: dict[str, int] = {}
        """By tenant id, the key that the present step has reached. The next batch continues after it."""

    def job(self, row: Reindex, tenant: Tenant) -> "ReindexJob":
        """Give the next step of a tenant's re-index."""
        return ReindexJob(self._services, self._positions, row, tenant)

    async def run(self) -> None:
        """Look for the next steps, and take them."""
        OWNER.set(BACKGROUND)
        self._positions.clear()  # another process may have taken steps since this one did
        while True:
            pause = POLL_SECONDS
            try:
                if self._services.galleries.loaded:
                    rows = await self._services.database.read(all_reindexes)
                    steps = [await self._advance(row) for row in rows]
                    pause = 0 if any(steps) else POLL_SECONDS
            except Exception:
                log.exception("re-indexing failed; trying again in %s s", RETRY_SECONDS)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _advance(self, row: Reindex) -> bool:
        """Take one step. False when there is none to take now."""
        job = self.job(row, await self._tenants.get(row.tenant_id))
        try:
            return await job.step()
        except* Superseded:
            pass
        except* SetupError as errors:
            await job.set_back(
                str(errors.exceptions[0]), ReindexState.FAILED if row.state is ReindexState.WAITING else row.state
            )
        except* LikenessError as errors:
            await job.set_back(str(errors.exceptions[0]), row.state)
        except* Exception:
            log.exception("re-indexing the gallery of tenant %s failed; trying again", row.tenant_id)
            await job.set_back("an unexpected error; see the server's log", row.state)
        return False


class Superseded(Exception):
    """The operator has made another request since the step began. Look again."""


class ReindexJob:
    """The next step of one gallery's re-index."""

    def __init__(self, services: ReindexServices, positions: dict[str, int], row: Reindex, tenant: Tenant) -> None:
        self._packs = services.packs
        self._galleries = services.galleries
        self._photos = services.photos
        self._database = services.database
        self._erase = services.erase
        self._clock = services.clock
        self._photos_at_once = services.photos_at_once
        self._positions = positions
        self._row = row
        self._tenant = tenant
        self._rows = ReindexRepository(tenant.id)

    async def step(self) -> bool:
        """Take the step. False when there is none to take now."""
        row = self._row
        await self._galleries.view(self._tenant)  # raises while the gallery must not answer
        if row.wish is not None and row.wish not in REQUESTS_IN[row.state]:
            await self._write(lambda c: self._change(c, wish=None))
        steps = {
            ReindexState.WAITING: self._begin,
            ReindexState.FILLING: self._fill,
            ReindexState.FINISHING: self._delete_old,
            ReindexState.ABANDONING: self._delete_new,
        }
        requested = {
            ReindexRequest.CUT_OVER: self._swap,
            ReindexRequest.ROLL_BACK: self._swap,
            ReindexRequest.KEEP_ORPHANS: self._keep_pack,
            ReindexRequest.DROP_ORPHANS: self._drop_orphans,
            ReindexRequest.ABANDON: self._keep_pack,
        }
        step = requested[row.wish] if row.wish in REQUESTS_IN[row.state] else steps.get(row.state)
        if step is None:
            return False
        await step()
        return True

    async def set_back(self, error: str, state: ReindexState) -> None:
        """Record the error for the operator, and the state."""
        if (error, state) != (self._row.error, self._row.state):
            log.error("re-indexing the gallery of tenant %s: %s", self._tenant.id, error)
            await self._write(lambda c: self._change(c, error=error, state=state))

    async def _begin(self) -> None:
        """Make the new pack the gallery's shadow."""
        pack = await asyncio.to_thread(self._packs.load, self._row.pack)
        self._packs.calibration(pack)  # raises for a pack without calibration: it cannot decide
        answering = (await self._galleries.view(self._tenant)).pack
        if pack == answering:
            raise SetupError(f"the gallery answers with {pack} already")
        total = await self._database.read(lambda c: self._rows.count_unmade(c, pack))

        def begin(connection: Connection) -> object:
            self._change(connection, pack=pack, state=ReindexState.FILLING, total=total, done=0, error=None)
            return self._galleries.set_packs(connection, self._tenant, GalleryPacks(answering, pack))

        await self._set_packs(begin)

    async def _fill(self) -> None:
        """Make the next templates. When all are made, compare the two packs."""
        pack, position = self._row.identity, self._position
        photos = await self._database.read(lambda c: self._rows.unmade(c, pack, after_key=position, limit=BATCH))
        if not photos and position:
            self._position = 0  # look once more from the start, until a full pass finds nothing
            return
        if not photos:
            report = await self._compare()
            await self._write(lambda c: self._change(c, state=ReindexState.READY, report=report, error=None))
            return
        free = asyncio.Semaphore(self._photos_at_once)
        async with asyncio.TaskGroup() as group:
            tasks = {photo: group.create_task(self._embed(photo, free)) for photo in photos}
        templates: dict[int, Template] = {}
        sealed: dict[int, bytes] = {}
        refusals: dict[int, str] = {}
        for photo, task in tasks.items():
            made = task.result()
            if isinstance(made, str):
                refusals[photo.key] = made
            else:
                templates[photo.key] = made
                sealed[photo.key] = seal_template(self._tenant, made, pack=pack, entry_id=photo.entry_id)
        await self._add(templates, sealed, refusals)
        self._position = photos[-1].key

    async def _embed(self, photo: StoredPhoto, free: asyncio.Semaphore) -> Template | str:
        """Give a stored photo's template, or the reason why there is none. Raises ServiceUnavailable."""
        async with free:
            workers = self._packs.workers(self._row.identity)
            policy = self._tenant.settings.face_policy
            try:
                stored = await self._photos.get(self._tenant, photo.image_id) if photo.image_id else None
                if stored is None:
                    return PHOTO_MISSING
                return await workers.embed(stored, policy=policy)
            except ServiceUnavailable:
                raise
            except LikenessError as error:
                return error.code
            except Exception:
                # One photo must not stop all others. The old pack still finds its entry, and the reason is reported.
                log.exception("the photo of entry %s cannot be used", photo.entry_id)
                return ErrorCode.UNEXPECTED_ERROR

    async def _add(self, templates: dict[int, Template], sealed: dict[int, bytes], refusals: dict[int, str]) -> None:
        pack, worked_on = self._row.identity, len(sealed) + len(refusals)

        def add(connection: Connection) -> NewTemplates:
            added = self._galleries.add_templates(connection, self._tenant, pack, sealed)
            self._rows.add_refusals(connection, pack, refusals)
            self._rows.count_done(connection, worked_on)
            return added

        def feed(written: Committed[NewTemplates]) -> None:
            self._galleries.templates_added(written, self._tenant.id, written.result, templates)

        await self._database.write(add, after_commit=feed, gallery_of=self._tenant.id)

    async def _compare(self) -> dict[str, object]:
        view, settings = await self._galleries.view(self._tenant), self._tenant.settings
        packs = (view.pack, self._row.identity)
        rows = await self._database.read(lambda c: self._rows.sample(c, packs, size=COMPARED_ENTRIES))
        keys, ids = [row[0] for row in rows], [row[1] for row in rows]
        old = self._open(packs[0], ids, [row[2] for row in rows])
        new = self._open(packs[1], ids, [row[3] for row in rows])
        answers = [
            Nearest(
                ids[n],
                other_than(keys[n], (await view.nearest(packs[0], old.rows[n], k=2)).hits),
                other_than(keys[n], (await view.nearest(packs[1], new.rows[n], k=2)).hits),
            )
            for n in np.flatnonzero(old.sound & new.sound)
        ]
        hit = list({hit.key for each in answers for hit in (each.old, each.new) if hit})
        entries = await self._database.read(lambda c: GalleryRepository(self._tenant.id).find_keys(c, hit))
        before, after = (decide(self._packs.calibration(p), settings, level=None, size=view.size) for p in packs)
        return compare_packs(answers, (before, after), {key: entry.id for key, entry in entries.items()})

    def _open(self, pack: PackIdentity, ids: Sequence[str], sealed: Sequence[bytes]) -> Opened:
        return open_templates(self._tenant, pack, ids, sealed, self._packs.engine(pack).pack.template_size)

    async def _swap(self) -> None:
        """Cut over or roll back: swap the pack that answers and its shadow."""
        state = ReindexState.CUT_OVER if self._row.wish is ReindexRequest.CUT_OVER else ReindexState.READY
        answering, shadow = (await self._galleries.view(self._tenant)).enrolling

        def swap(connection: Connection) -> object:
            self._demand_wish(connection)
            self._change(connection, state=state, wish=None, error=None)
            return self._galleries.set_packs(connection, self._tenant, GalleryPacks(shadow, answering))

        await self._set_packs(swap)
        log.warning("the gallery of tenant %s now answers with %s", self._tenant.id, shadow)

    async def _drop_orphans(self) -> None:
        """Erase the next entries without a template of the new pack. When there are none, finish."""
        pack = self._row.identity
        found = await self._database.read(lambda c: list(self._rows.orphans(c, pack, limit=ERASED_AT_ONCE)))
        for orphan in found:
            await self._erase(self._tenant, orphan.entry_id)
        if not found:
            await self._keep_pack()

    async def _keep_pack(self) -> None:
        """Stay with the pack that answers. Entries without a template of it keep one of another pack."""
        state = ReindexState.ABANDONING if self._row.wish is ReindexRequest.ABANDON else ReindexState.FINISHING

        answering = (await self._galleries.view(self._tenant)).pack

        def keep(connection: Connection) -> object:
            self._demand_wish(connection)
            self._change(connection, state=state, wish=None, error=None)
            return self._galleries.set_packs(connection, self._tenant, GalleryPacks(answering, None))

        self._position = 0
        await self._set_packs(keep)

    async def _delete_old(self) -> None:
        await self._delete(lambda c, keys: self._rows.delete_superseded(c, self._row.identity, keys))

    async def _delete_new(self) -> None:
        await self._delete(lambda c, keys: self._rows.delete_surplus(c, self._row.identity, keys))

    async def _delete(self, some: Callable[[Connection, Sequence[int]], None]) -> None:
        """Delete templates of the next entries. When there are none, the re-index is over.

        Then orphans are read again: an orphan may have had several templates, and memory the one that was deleted.
        """
        position = self._position
        keys = await self._database.read(lambda c: self._rows.keys(c, after_key=position, limit=DELETED_AT_ONCE))

        answering = (await self._galleries.view(self._tenant)).pack

        def end(connection: Connection) -> object:
            self._rows.remove(connection)
            return self._galleries.set_packs(connection, self._tenant, GalleryPacks(answering, None))

        if keys:
            await self._write(lambda c: some(c, keys))
        else:
            await self._set_packs(end)
        self._position = keys[-1] if keys else 0

    @property
    def _position(self) -> int:
        """Key of the last entry that this step has processed since the server's start."""
        return self._positions.get(self._tenant.id, 0)

    @_position.setter
    def _position(self, key: int) -> None:
        self._positions[self._tenant.id] = key

    async def _write(self, work: Callable[[Connection], None]) -> None:
        await self._database.write(work, gallery_of=self._tenant.id)

    async def _set_packs(self, work: Callable[[Connection], object]) -> None:
        """Change the gallery's packs. ``work`` gives the change of ``Galleries.set_packs``."""

        def show(written: Committed[object]) -> None:
            self._galleries.packs_set(written, self._tenant.id, written.result)

        await self._database.write(work, after_commit=show, exclusive=True, gallery_of=self._tenant.id)

    def _demand_wish(self, connection: Connection) -> None:
        """Raise Superseded when the operator's request has changed: this step would clear the new one unseen."""
        present = self._rows.find(connection)
        if present is None or present.wish is not self._row.wish:
            raise Superseded

    def _change(self, connection: Connection, **values: object) -> None:
        self._rows.change(connection, now=self._clock.now(), **values)
