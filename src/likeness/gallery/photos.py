"""The photos of entries, from before the entry is committed to after it is gone.

A photo is stored before its entry is committed, and deleted after the entry lets go of it, so a crash between the two
leaves a photo that no entry refers to, and never an entry without its photo. That an entry let go of its photo is
written down in the same transaction, so the deletion is made up for after a crash; a photo whose entry was never
committed is found by ``likeness.gallery.maintenance.sweep``. A photo that could not be deleted at once is tried again
until it is gone; the caller is told meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from likeness.errors import LikenessError, ServiceUnavailable
from likeness.gallery.repository import GalleryRepository, forget_deletions, photos_to_delete
from likeness.kit.ids import new_object_id
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")


@dataclass(slots=True)
class PendingPhoto:
    """A stored photo whose entry is not committed yet; ``enrolled`` is set when it is."""

    image_id: str
    enrolled: bool = False


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A photo that should be gone, and the entry that let go of it, if it ever had one.

    ``doubtful``: a refused commit may have reached the disk after all; the database says whether an entry refers to it.
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
        # A request and the upkeep may be at the same photo: the first to finish drops it.
        self._overdue: dict[str, _Overdue] = {}
        self.due = asyncio.Event()
        """Set when a photo is left that should be gone."""
        self._gone: list[str] = []
        """Photos that are deleted, and still written down as to be deleted."""

    @asynccontextmanager
    async def arriving(self, tenant: Tenant, photo: bytes) -> AsyncIterator[PendingPhoto]:
        """Store a photo for an entry that is committed within the block; it is deleted again if none is.

        Raises ServiceUnavailable when the store refuses. A caller that is cancelled within the block may leave its
        commit behind it: that photo counts as arriving until the next start.
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
        """Delete the photo that an entry has let go of.

        Raises ServiceUnavailable when it cannot, and tries again by itself.
        """
        self._overdue[image_id] = _Overdue(tenant.id, entry_id)
        await self.finish_deleting(tenant, entry_id)

    async def finish_deleting(self, tenant: Tenant, entry_id: str) -> None:
        """Delete what is overdue of an entry, if anything is. Raises ServiceUnavailable."""
        due = _Overdue(tenant.id, entry_id)
        for image_id in [image_id for image_id, overdue in self._overdue.items() if overdue == due]:
            try:
                await self._images.delete(tenant.id, image_id)
            except LikenessError:
                self.due.set()
                raise
            self._drop_overdue(image_id)

    async def recall_overdue(self) -> None:
        """Learn which deletions an earlier run left undone. Raises ServiceUnavailable."""
        for image_id, tenant_id, entry_id in await self._database.read(lambda c: list(photos_to_delete(c))):
            self._overdue.setdefault(image_id, _Overdue(tenant_id, entry_id))
            self.due.set()

    async def delete_overdue(self) -> None:
        """Try again to delete the photos that should be gone, each by itself.

        Raises ServiceUnavailable when one cannot be deleted.
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
        """Whether a photo is being stored or deleted by this process, and nobody else's business."""
        return image_id in self._arriving or image_id in self._overdue

    async def wanted(self, image_ids: list[str]) -> set[str]:
        """Give those of the images that an entry refers to."""
        if not image_ids:
            return set()
        return await self._database.read(lambda c: GalleryRepository.wanted_images(c, image_ids))

    def _drop_overdue(self, image_id: str) -> None:
        """Note that a photo is gone, or is an entry's after all."""
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
            log.warning("a photo that nobody was enrolled with is still there and will be deleted: %s", error)
