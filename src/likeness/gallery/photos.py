"""The photos of entries.

A photo is stored before its entry is committed, and deleted after its entry no longer refers to it. So a crash in
between leaves a photo without an entry, and never an entry without its photo. When an entry gives up its photo, the
same transaction records it. So the photo is deleted even after a crash. ``likeness.gallery.maintenance.sweep`` finds a
photo whose entry was never committed. When a photo cannot be deleted at once, the caller gets an error, and the server
tries again until the photo is gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from likeness.errors import LikenessError, ServiceUnavailable
from likeness.gallery.maintenance.photo_rows import forget_deletions, photos_to_delete, wanted_images
from likeness.kit.ids import new_object_id
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")


@dataclass(slots=True)
class PendingPhoto:
    """A stored photo whose entry is not committed yet. ``enrolled`` becomes true with the commit."""

    image_id: str
    enrolled: bool = False


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A photo that must be deleted, and the entry that gave it up. ``entry_id`` is None when it never had an entry.

    ``doubtful``: a commit failed but may have reached the disk. The database knows whether an entry has the photo.
    """

    tenant_id: str
    entry_id: str | None = None
    doubtful: bool = False


class EntryPhotos:
    """Stores and deletes the photos of a deployment's galleries. One event loop uses it, in one process."""

    def __init__(self, images: ImageStore, database: Database) -> None:
        self._images = images
        self._database = database
        self._arriving: set[str] = set()
        # A request and the upkeep may delete the same photo at once. The first to finish drops it.
        self._overdue: dict[str, _Overdue] = {}
        self.due = asyncio.Event()
        """Set when a photo could not be deleted and must be tried again."""
        self._gone: list[str] = []
        """Deleted photos whose record of deletion is still in the database."""

    @asynccontextmanager
    async def arriving(self, tenant: Tenant, photo: bytes) -> AsyncIterator[PendingPhoto]:
        """Store a photo for an entry that the block commits. Delete it again when the block commits none.

        Raises ServiceUnavailable when the store refuses. When the caller is cancelled within the block, its commit may
        still succeed. Then the photo counts as arriving until the next start.
        """
        pending = PendingPhoto(new_object_id())
        self._arriving.add(pending.image_id)
        stored = False
        try:
            await self._images.put(tenant.id, pending.image_id, photo, tenant.cipher)
            stored = True
            yield pending
        except Exception as error:
            await self._give_up(tenant, pending, doubtful=stored and isinstance(error, ServiceUnavailable))
            raise
        if pending.enrolled:
            self._arriving.discard(pending.image_id)
        else:
            await self._give_up(tenant, pending)

    async def get(self, tenant: Tenant, image_id: str) -> bytes | None:
        """Give a photo, or None. Raises ServiceUnavailable."""
        return await self._images.get(tenant.id, image_id, tenant.cipher)

    async def delete(self, tenant: Tenant, entry_id: str, image_id: str) -> None:
        """Delete the photo that an entry has given up.

        Raises ServiceUnavailable when that fails. The upkeep then tries again.
        """
        self._overdue[image_id] = _Overdue(tenant.id, entry_id)
        await self.finish_deleting(tenant, entry_id)

    async def finish_deleting(self, tenant: Tenant, entry_id: str) -> None:
        """Delete the overdue photos of an entry, if it has any. Raises ServiceUnavailable."""
        due = _Overdue(tenant.id, entry_id)
        for image_id in [image_id for image_id, overdue in self._overdue.items() if overdue == due]:
            try:
                await self._images.delete(tenant.id, image_id)
            except LikenessError:
                self.due.set()
                raise
            self._drop_overdue(image_id)

    async def recall_overdue(self) -> None:
        """Read which deletions an earlier run has not finished. Raises ServiceUnavailable."""
        for image_id, tenant_id, entry_id in await self._database.read(lambda c: list(photos_to_delete(c))):
            self._overdue.setdefault(image_id, _Overdue(tenant_id, entry_id))
            self.due.set()

    async def delete_overdue(self) -> None:
        """Try again to delete each overdue photo. One that fails does not stop the others.

        Raises ServiceUnavailable when a photo cannot be deleted.
        """
        due = dict(self._overdue)
        wanted = await self.wanted([image_id for image_id, overdue in due.items() if overdue.doubtful])
        fault: LikenessError | None = None
        for image_id, overdue in due.items():
            try:
                if image_id not in wanted:
                    await self._images.delete(overdue.tenant_id, image_id)
                self._drop_overdue(image_id)
            except LikenessError as error:
                fault = error
        gone = tuple(self._gone)
        if gone:
            await self._database.write(lambda c: forget_deletions(c, gone))
            del self._gone[: len(gone)]
        if fault:
            raise fault

    def is_under_way(self, image_id: str) -> bool:
        """Whether this process is storing or deleting a photo, so that the sweep must leave it alone."""
        return image_id in self._arriving or image_id in self._overdue

    async def wanted(self, image_ids: list[str]) -> set[str]:
        """Give those of the photos that an entry refers to."""
        if not image_ids:
            return set()
        return await self._database.read(lambda c: wanted_images(c, image_ids))

    def _drop_overdue(self, image_id: str) -> None:
        """Note that a photo is gone, or that an entry refers to it after all."""
        overdue = self._overdue.pop(image_id, None)
        if overdue and overdue.entry_id:
            self._gone.append(image_id)

    async def _give_up(self, tenant: Tenant, pending: PendingPhoto, *, doubtful: bool = False) -> None:
        self._overdue[pending.image_id] = _Overdue(tenant.id, doubtful=doubtful)
        self._arriving.discard(pending.image_id)
        if doubtful:
            self.due.set()
            return
        try:
            await self._images.delete(tenant.id, pending.image_id)
            self._overdue.pop(pending.image_id, None)
        except LikenessError as error:
            self.due.set()
            log.warning("a photo without an entry could not be deleted yet, and is tried again: %s", error)
