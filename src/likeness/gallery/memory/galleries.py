"""The galleries in memory. A start rebuilds them from the database. Each commit feeds them, in commit order."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery.maintenance.roll_call import RollFault, call_rolls, refuse_surplus
from likeness.gallery.memory.gallery import Gallery, GallerySnapshot
from likeness.gallery.memory.plain import PlainGallery, plain_galleries, recorded_galleries
from likeness.gallery.memory.refusals import Refusals
from likeness.gallery.packs import Packs
from likeness.gallery.repository import (
    GalleryPacks,
    GalleryRepository,
    common_pack,
    entry_counts,
    in_groups,
)
from likeness.gallery.templates.blocks import TemplateBatch, gathered, open_rows, stored_templates
from likeness.gallery.templates.sealing import open_templates
from likeness.gallery.views import GalleriesCondition
from likeness.index.base import Index
from likeness.index.exact import ExactIndex
from likeness.store.database import Database
from likeness.store.sharing.claim import Ownership
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
REBUILD_ROWS = 16384
"""Rows added to the index at once: one of its chunks."""
Keys = NDArray[np.int64]


class Stopped(Exception):
    """The server stops while a gallery loads."""


@dataclass(slots=True)
class RebuildProgress:
    """Progress of the rebuild at start, for the readiness answer. ``loaded`` and ``total`` count entries."""

    loaded: int = 0
    total: int = 0
    done: bool = False
    fault: str | None = None


@dataclass(slots=True)
class _Notes:
    """What the loading of one gallery has found."""

    unblocked_spans: set[int] = field(default_factory=set)
    """Spans without a block."""
    unreadable: set[int] = field(default_factory=set)
    """Keys of entries with a damaged template."""


@dataclass(slots=True)
class LoadedGalleries:
    """The tenants' galleries. Loading blocks. Only the database's writer thread changes a gallery."""

    packs: Packs
    progress: RebuildProgress = field(default_factory=RebuildProgress)
    make_index: Callable[[int], Index] = ExactIndex
    _galleries: dict[str, Gallery] = field(default_factory=dict)
    _refusals: Refusals = field(default_factory=Refusals)
    attention: Callable[[], None] = lambda: None
    """Called on any thread when a gallery must be loaded again, or the claim on the database must be taken again."""
    _suspended: bool = False
    """Whether another process may own the database."""
    _detached: bool = False
    """Whether the database's file was removed or replaced."""
    _all_behind: bool = False
    """Whether all galleries must be loaded again, not only one."""
    _common: PackIdentity | None = None
    """The pack that all galleries answer with. A new gallery gets it, too."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _filling: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "gallery-load"))

    def ready(self, tenant_id: str) -> Gallery:
        """Give a tenant's gallery. Make an empty one when there is none.

        Raises ServiceUnavailable when it must not answer now.
        """
        progress = self.progress
        if not progress.done:
            raise ServiceUnavailable(
                f"The gallery is being loaded ({progress.loaded} of {progress.total}); try again shortly."
            )
        if self._detached:
            raise ServiceUnavailable("The database's file was removed or replaced while the server ran.")
        if self._suspended:
            raise ServiceUnavailable("Another server may own the database now; try again shortly.")
        if (refusal := self._refusals.reason(tenant_id)) is not None:
            raise ServiceUnavailable(refusal)
        return self.gallery(tenant_id)

    def gallery(self, tenant_id: str) -> Gallery:
        """Give a tenant's gallery, loaded or not. Make an empty one when there is none."""
        gallery = self._galleries.get(tenant_id)
        while gallery is None:
            pack = self._common or self.packs.main
            empty = GallerySnapshot(pack, None, {pack: self.new_index(pack)}, {})
            with self._lock:
                if pack == (self._common or self.packs.main):  # still the same
                    gallery = self._galleries.setdefault(tenant_id, Gallery(empty, recorded=False))
        return gallery

    def new_index(self, pack: PackIdentity) -> Index:
        """Give an empty index for a pack's templates. Raises SetupError when the pack cannot be loaded."""
        self.packs.load(pack)
        return self.make_index(self.packs.engine(pack).pack.template_size)

    def feed(self, tenant_id: str, change: Callable[[Gallery], None]) -> None:
        """Make a committed change in memory. If that fails, the gallery is loaded again before it answers again."""
        try:
            change(self.gallery(tenant_id))
        except Exception:
            log.exception("a committed change did not reach the index")
            self.mark_stale(tenant_id)

    def mark_stale(self, tenant_id: str) -> None:
        """Let a gallery that differs from the database be loaded again. Until then it refuses its calls."""
        log.error("the gallery of tenant %s is loaded again", tenant_id)
        self._refusals.mark_stale(tenant_id)
        self.attention()

    def ownership_changed(self, became: Ownership) -> None:
        """Refuse calls while another process may own the database. Load all again when it may have written."""
        if became is Ownership.DOUBTFUL:
            self._mark_all_stale()
        self._suspended = became is Ownership.LOST
        self._detached = became is Ownership.GONE
        self.attention()

    @property
    def behind(self) -> bool:
        """Whether a gallery must be loaded again."""
        return bool(self._refusals.stale)

    @property
    def condition(self) -> GalleriesCondition:
        with self._lock:
            galleries = list(self._galleries.values())
        sizes = [gallery.snapshot.size for gallery in galleries]
        return GalleriesCondition(
            status=self.status,
            loaded=self.progress.loaded,
            total=self.progress.total,
            galleries=len(sizes),
            entries=sum(sizes),
            largest=max(sizes, default=0),
            unreadable=sum(len(gallery.unreadable) for gallery in galleries),
            stale=len(self._refusals.stale),
            refusing=self._refusals.count,
        )

    @property
    def status(self) -> str:
        """Give the state in one word. Calls are answered when it is ``ready``."""
        if not self.progress.done:
            return "failed" if self.progress.fault else "loading"
        if self._detached:
            return "detached"
        if self._suspended:
            return "suspended"
        return "reloading" if self._all_behind and self._refusals.reloading else "ready"

    def _mark_all_stale(self) -> None:
        """Let every gallery be loaded again, because the database may have other entries than memory."""
        with self._lock:
            tenants = list(self._galleries)
        self._all_behind = True
        for tenant_id in tenants:
            if self._refusals.reason(tenant_id) is None:
                self.mark_stale(tenant_id)

    @property
    def common(self) -> PackIdentity | None:
        """The pack that all galleries answer with, if it is known."""
        return self._common

    def set_common_pack(self, common: PackIdentity | None) -> None:
        """Let new galleries answer with the pack that all others answer with. Call it on the writer's thread."""
        if common != self._common:
            with self._lock:
                self._common = common
                self._galleries = {key: gallery for key, gallery in self._galleries.items() if gallery.recorded}

    def stop(self) -> None:
        """Stop a rebuild that is under way."""
        self._stop.set()

    def close(self) -> None:
        """Release the thread that loads."""
        self._filling.shutdown()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def rebuild(self, database: Database, tenants: list[Tenant]) -> None:
        """Load every tenant's gallery from the database before anything is written to it. Blocks.

        A gallery whose packs are not installed refuses its calls. The others are served. Raises ServiceUnavailable,
        SetupError.
        """
        progress = self.progress
        progress.loaded, progress.fault = 0, None
        counts = database.read_now(entry_counts)
        progress.total = sum(counts.get(tenant.id, 0) for tenant in tenants)
        try:
            self._common = database.read_now(self._find_common)
            known = database.read_now(recorded_galleries) | counts.keys()
            by_id = {tenant.id: tenant for tenant in tenants if tenant.id in known}
            for group in in_groups(by_id, counts, REBUILD_ROWS):
                faults = database.read_now(partial(call_rolls, tenant_ids=group))
                for tenant_id, fault in faults.items():
                    database.write_now(partial(refuse_surplus, tenant_id=tenant_id, fault=fault))
                loaded = [by_id[tenant_id] for tenant_id in group if self._may_serve(tenant_id, faults)]
                database.read_now(partial(self._load_some, loaded))
        except Stopped:
            return
        except (ServiceUnavailable, SetupError) as error:
            progress.fault = str(error)
            raise
        progress.done = True

    async def reload(self, database: Database, tenants: Mapping[str, Tenant]) -> None:
        """Load the stale galleries again. Nothing is written meanwhile. Raises ServiceUnavailable."""
        for tenant_id in self._refusals.stale & tenants.keys():
            try:
                await database.write(partial(self._load_again, tenants[tenant_id]), exclusive=True)
            except BaseException:
                self._refusals.loading_failed(tenant_id)
                raise
        if not self.behind:
            self._all_behind = False

    def _load_again(self, tenant: Tenant, connection: Connection) -> None:
        self.set_common_pack(self._find_common(connection))
        faults = call_rolls(connection, [tenant.id])
        for tenant_id, fault in faults.items():
            refuse_surplus(connection, tenant_id, fault)
        if self._may_serve(tenant.id, faults):
            self._load(tenant, connection)

    def _may_serve(self, tenant_id: str, faults: Mapping[str, RollFault]) -> bool:
        """Whether a gallery's entries are those of its roll, or the others are known. If not, refuse its calls."""
        fault = faults.get(tenant_id)
        if fault is None or fault.explained:
            return True
        log.critical("the gallery of tenant %s is not served: %s", tenant_id, fault)
        self._refusals.refuse(tenant_id, f"The gallery is not served: {fault}.")
        return False

    def _find_common(self, connection: Connection) -> PackIdentity | None:
        common = common_pack(connection)
        try:
            return common and self.packs.load(common)
        except SetupError:
            return None  # those galleries refuse their calls, but a new one can answer with the main pack

    def _load_some(self, tenants: Sequence[Tenant], connection: Connection) -> None:
        """Load several galleries. Plain ones share their queries."""
        plain = plain_galleries(connection, [tenant.id for tenant in tenants]) if len(tenants) > 1 else {}
        for tenant in tenants:
            found = plain.get(tenant.id)
            if found is None:
                self._load(tenant, connection)
            else:
                self._take_in(tenant, lambda notes, tenant=tenant, found=found: self._open(tenant, found, notes))  # type: ignore[misc]

    def _load(self, tenant: Tenant, connection: Connection) -> None:
        rows = GalleryRepository(tenant.id)
        recorded = rows.packs(connection)
        packs = recorded or GalleryPacks(self._common or self.packs.main, None)
        read = partial(self._read, tenant, rows, packs, connection)
        self._take_in(tenant, read, recorded=recorded is not None)

    def _take_in(self, tenant: Tenant, read: Callable[["_Notes"], GallerySnapshot], *, recorded: bool = True) -> None:
        """Read a gallery and serve it. When its packs cannot be loaded, it refuses its calls."""
        self._refusals.loading(tenant.id)
        notes = _Notes()
        try:
            snapshot = read(notes)
        except SetupError as error:
            log.error("the gallery of tenant %s is not served: %s", tenant.id, error)  # noqa: TRY400  the operator must act
            self._refusals.refuse(tenant.id, f"The gallery is not served: {error}.")
            return
        before = self._galleries.get(tenant.id)
        if notes.unreadable and not (before and before.unreadable == notes.unreadable):
            log.error(
                "%d entries of tenant %s cannot be read, and searches do without them: stop the server and run "
                "`likeness gallery verify`",
                len(notes.unreadable),
                tenant.id,
            )
        loaded = Gallery(
            snapshot, recorded=recorded, unblocked_spans=notes.unblocked_spans, unreadable=notes.unreadable
        )
        with self._lock:
            self._galleries[tenant.id] = loaded
        self._refusals.lift(tenant.id)

    def _open(self, tenant: Tenant, plain: PlainGallery, notes: "_Notes") -> GallerySnapshot:
        index = self.new_index(plain.pack)
        if plain.entries:
            batch = self._note(open_rows(tenant, plain.pack, index.dimension, plain.entries), notes)
            index.add_many(batch.keys, batch.rows)
        return GallerySnapshot(plain.pack, None, {plain.pack: index}, {})

    def _note(self, batch: TemplateBatch, notes: "_Notes") -> TemplateBatch:
        """Note a batch's damaged templates, its spans without a block, and the progress. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped
        if batch.by_row:
            notes.unblocked_spans.update(batch.spans)
        notes.unreadable.update(batch.damaged)
        self.progress.loaded += len(batch.keys)
        return batch

    def _read(
        self, tenant: Tenant, rows: GalleryRepository, packs: GalleryPacks, connection: Connection, notes: "_Notes"
    ) -> GallerySnapshot:
        entries = rows.count(connection)
        indexes = {pack: self._index_for(pack, entries) for pack in packs.enrolling}
        answered = self._fill(tenant, packs.pack, indexes[packs.pack], connection, notes)
        shadowed = answered
        if packs.shadow:
            shadowed = self._fill(tenant, packs.shadow, indexes[packs.shadow], connection, notes)
        alone = {packs.shadow: len(np.setdiff1d(shadowed, answered, assume_unique=True))} if packs.shadow else {}
        snapshot = GallerySnapshot(packs.pack, packs.shadow, indexes, alone)
        everybody = len(answered) + sum(alone.values()) == entries
        return snapshot if everybody else snapshot.with_orphans(self.orphans(tenant, connection, snapshot.enrolling))

    def orphans(
        self, tenant: Tenant, connection: Connection, packs: Sequence[PackIdentity]
    ) -> dict[PackIdentity, Index]:
        """Read the entries without a template of ``packs`` into new indexes, by a pack that they have a template of.

        Damaged templates are left out.
        """
        indexes: dict[PackIdentity, Index] = {}
        for pack, found in GalleryRepository(tenant.id).orphan_templates(connection, packs).items():
            index = indexes[pack] = self.new_index(pack)
            keys, ids, sealed = zip(*found, strict=True)
            opened = open_templates(tenant, pack, ids, sealed, index.dimension)
            index.add_many(np.array(keys, np.int64)[opened.sound], opened.rows[opened.sound])
        return indexes

    def _index_for(self, pack: PackIdentity, entries: int) -> Index:
        """Give an empty index for the templates of so many entries. Raises SetupError.

        At the start, the disk must have room for all of them. Later, templates without room stay in memory, so that the
        gallery is served.
        """
        index = self.new_index(pack)
        if not self.progress.done:
            try:
                index.reserve(entries)
            except OSError as error:
                raise SetupError(
                    f"the data folder cannot hold the file of {entries:,} templates ({error.strerror}): make room, or "
                    "set LIKENESS_TEMPLATES=memory"
                ) from error
        return index

    def _fill(self, tenant: Tenant, pack: PackIdentity, index: Index, connection: Connection, notes: "_Notes") -> Keys:
        """Load a pack's templates into an index. Give their keys, in rising order."""
        loaded: list[Keys] = [np.empty(0, np.int64)]
        stored = stored_templates(connection, tenant, pack, index.dimension)
        # The index adds a batch while the next one is read and opened.
        added: Future[None] | None = None
        for keys, templates in gathered((self._note(batch, notes) for batch in stored), REBUILD_ROWS):
            if added:
                added.result()
            added = self._filling.submit(index.add_many, keys, templates)
            loaded.append(keys)
        if added:
            added.result()
        return np.concatenate(loaded)
