"""The verification of a gallery's stored data: whether every template opens, and whether every photo exists.

A damaged template affects only its own entry. The server leaves the entry out of its searches, and reports the number
of such entries. The verification names them, and drops them on request. When a block has a sound copy of a template,
the template is restored from it. An entry that loses its last template is erased with its photo. An entry whose photo
is missing or damaged keeps its templates, so searches still find it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sqlalchemy import Connection, select

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import SetupError
from likeness.gallery.entries.entry import Entry
from likeness.gallery.maintenance.roll_call import RollFault, call_rolls, refuse_surplus
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import BLOCK_SPAN, GalleryRepository
from likeness.gallery.templates.blocks import READ_ROWS
from likeness.gallery.templates.sealing import open_block, open_templates, seal_template
from likeness.store.authentic.upgrade import call_roll
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.store.tables import gallery_entries
from likeness.tenants.service import Tenant

PHOTOS_AT_ONCE = 16
KEYS_AT_ONCE = 1000
NO_TEMPLATE = "has no template"
ALTERED = "it was altered or put back behind Likeness's back, and is refused"
PHOTO_MISSING, PHOTO_DAMAGED = "its photo is missing", "its photo does not open"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of an entry.

    ``pack`` is the pack of the damaged template. It is None for a photo, and for an entry without any template.
    """

    key: int
    entry_id: str
    what: str
    pack: PackIdentity | None = None

    def __str__(self) -> str:
        return f"its template of {self.pack} {self.what}" if self.pack else self.what

    @property
    def of_photo(self) -> bool:
        return self.what in {PHOTO_MISSING, PHOTO_DAMAGED}


@dataclass(frozen=True, slots=True)
class Verification:
    """Verifies one tenant's gallery, in the process that owns it.

    ``size_of`` gives the length of a pack's templates, or raises SetupError.
    """

    tenant: Tenant
    database: Database
    images: ImageStore
    photos: EntryPhotos
    size_of: Callable[[PackIdentity], int]

    @property
    def _rows(self) -> GalleryRepository:
        return GalleryRepository(self.tenant.id)

    def templates(self, progress: Callable[[int], None]) -> list[Fault]:
        """Find the faults of the templates. ``progress`` gets how many more templates were opened. Blocks."""
        packs = self.database.read_now(self._rows.stored_packs)
        found = [
            fault
            for pack in packs
            for fault in self.database.read_now(lambda c, pack=pack: list(self._damaged(c, pack, progress)))  # type: ignore[misc]
        ]
        bare = self.database.read_now(lambda c: list(self._rows.bare_entries(c)))
        return [*found, *(Fault(key, entry_id, NO_TEMPLATE) for key, entry_id in bare)]

    def rows(self) -> list[Fault]:
        """Find the entries whose rows Likeness did not write so. Blocks."""
        return self.database.read_now(lambda c: list(self._altered(c)))

    def _altered(self, connection: Connection) -> Iterator[Fault]:
        keys = select(gallery_entries.c.key, gallery_entries.c.id).where(gallery_entries.c.tenant_id == self.tenant.id)
        for rows in connection.execute(keys.execution_options(yield_per=KEYS_AT_ONCE)).partitions():
            ids = {row.key: row.id for row in rows}
            yield from (Fault(key, ids[key], ALTERED) for key in self._rows.altered(connection, list(ids)))

    def roll(self) -> RollFault | None:
        """Compare the entries with the roll: see ``likeness.gallery.maintenance.roll_call``. Blocks."""
        return self.database.read_now(partial(call_rolls, tenant_ids=[self.tenant.id])).get(self.tenant.id)

    def mend_roll(self, fault: RollFault, *, accept: bool) -> bool:
        """Let the roll have the entries that are there, without those that were put back. Blocks.

        Without ``accept``, do nothing and give False when nobody can tell which these are.
        """
        if not (fault.explained or accept):
            return False

        def mend(connection: Connection) -> None:
            refuse_surplus(connection, self.tenant.id, fault)
            call_roll(connection, self.tenant.id)

        self.database.write_now(mend, gallery_of=self.tenant.id)
        return True

    def _damaged(self, connection: Connection, pack: PackIdentity, progress: Callable[[int], None]) -> Iterator[Fault]:
        size = self.size_of(pack)
        for batch in self._rows.templates(connection, pack, batch=READ_ROWS):
            keys, ids, sealed = zip(*batch, strict=True)
            for position, why in sorted(open_templates(self.tenant, pack, ids, sealed, size).damaged.items()):
                yield Fault(keys[position], ids[position], why, pack)
            progress(len(batch))

    async def stored_photos(self, progress: Callable[[int], None], *, whole: bool = False) -> list[Fault]:
        """Find missing photos, and with ``whole`` also photos that do not open. Raises ServiceUnavailable.

        ``progress`` gets how many more entries were looked at.
        """
        there: set[str] = {name async for batch in self.images.ids(self.tenant.id) for name in batch}
        there |= {name async for batch in self.images.aside(self.tenant.id) for name, _ in batch}
        found, key = [], 0
        while entries := await self.database.read(partial(self._rows.page, after_key=key, limit=READ_ROWS)):
            key = entries[-1].key
            with_photo = [entry for entry in entries if entry.image_id]
            for start in range(0, len(with_photo), PHOTOS_AT_ONCE):
                some = with_photo[start : start + PHOTOS_AT_ONCE]
                looks = (self._look(entry, there, whole=whole) for entry in some)
                whats = await asyncio.gather(*looks)
                found += [
                    Fault(each.key, each.id, what) for each, what in zip(some, whats, strict=True) if what is not None
                ]
            progress(len(entries))
        return found

    async def _look(self, entry: Entry, there: set[str], *, whole: bool) -> str | None:
        if entry.image_id not in there:
            return PHOTO_MISSING
        try:
            if whole:
                await self.images.get(self.tenant.id, entry.image_id, self.tenant.cipher)
        except SetupError:
            return PHOTO_DAMAGED
        return None

    async def drop(self, faults: Sequence[Fault]) -> tuple[int, int]:
        """Drop damaged templates and links to photos. Give the numbers of restored templates and of erased entries.

        Raises ServiceUnavailable.
        """
        await self.photos.recall_overdue()
        restored = erased = 0
        for fault in faults:
            outcome = await self.database.write(partial(self._drop, fault=fault), gallery_of=self.tenant.id)
            restored += outcome == "restored"
            erased += outcome == "erased"
        await self.photos.recall_overdue()
        await self.photos.delete_overdue()
        return restored, erased

    def _drop(self, connection: Connection, fault: Fault) -> str | None:
        rows = self._rows
        rows.lock(connection)
        if fault.what == ALTERED:
            return "erased" if rows.erase(connection, fault.entry_id) else None
        if fault.of_photo:
            rows.forget_image(connection, fault.entry_id)
            return None
        if fault.pack:
            copy = self._copy_in_block(connection, fault.pack, fault.key)
            if copy is not None:
                sealed = seal_template(self.tenant, copy, pack=fault.pack, entry_id=fault.entry_id)
                rows.replace_template(connection, fault.key, fault.pack, sealed)
                return "restored"
            if rows.drop_template(connection, fault.key, fault.pack):
                return None
        return "erased" if rows.erase(connection, fault.entry_id) else None

    def _copy_in_block(self, connection: Connection, pack: PackIdentity, key: int) -> Template | None:
        span = key // BLOCK_SPAN
        sealed = self._rows.block(connection, pack, span)
        block = open_block(self.tenant, pack, span, sealed, self.size_of(pack)) if sealed else None
        if block is None:
            return None
        keys, templates = block
        position = int(np.searchsorted(keys, key))
        return templates[position] if position < len(keys) and keys[position] == key else None
