"""Photos at rest: sealed bytes in a folder or an object store, under a prefix for each tenant.

A photo that no entry refers to is not deleted at once. It is moved to ``quarantine/``, where :meth:`ImageStore.get`
still finds it.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from obstore.exceptions import BaseError as ObjectStoreError
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import Cipher
from likeness.kit.executors import SizedExecutor
from likeness.store.folder import FolderStore
from likeness.store.remote import NoBucket, RemoteObjects, cause_of_store_error

log = logging.getLogger("likeness.store")
PURPOSE = "image"
QUARANTINE = "quarantine"
MARK = "generation"
"""Name of the object that holds the generation of the photos' database (see ``likeness.store.generations``)."""
MOVE_MARK = "move"
"""Name of the object of a store that a move has not filled yet (see ``likeness.store.move``)."""
CONCURRENT_FILES = 16
"""Files written at once. Their fsyncs end together, so many files take no longer than one."""
FAULTS = (ObjectStoreError, OSError, NoBucket)
_DENIALS = (NoBucket, FileNotFoundError, PermissionError, PermissionDeniedError, UnauthenticatedError)
"""Faults that do not pass with time."""


class Objects(Protocol):
    """Objects named ``space/name``. The effects of ``put`` and ``delete`` are durable when they return."""

    async def put(self, space: str, name: str, content: bytes) -> None: ...

    async def replace(self, space: str, name: str, content: bytes) -> None: ...

    async def get(self, space: str, name: str) -> bytes | None: ...

    async def delete(self, space: str, name: str) -> None: ...

    async def move(self, name: str, space: str, target: str) -> None: ...

    def batches(self, space: str) -> AsyncIterator[list[str]]: ...

    def dated(self, space: str) -> AsyncIterator[list[tuple[str, float]]]: ...

    def close(self) -> None: ...


class ImageStore:
    """Stores, reads and deletes photos by tenant and id. The store holds only ciphertext."""

    def __init__(self, url: str) -> None:
        self._objects = open_objects(url)
        self._causes: dict[str, str] = {}
        """The logged cause of a present fault, by kind of call."""

    async def put(self, tenant_id: str, image_id: str, photo: bytes, cipher: Cipher) -> None:
        """Store a photo. It is durable when this returns. Raises ServiceUnavailable."""
        with self._as_refusal("take photos", "The image store cannot take this now; nothing was changed."):
            await self._objects.put(tenant_id, image_id, cipher.seal(photo, PURPOSE, image_id))

    async def get(self, tenant_id: str, image_id: str, cipher: Cipher) -> bytes | None:
        """Give a photo, also from quarantine, or None if there is none.

        Raises ServiceUnavailable, and SetupError for a damaged photo.
        """
        with self._as_refusal("be read", "The image store cannot be read now."):
            sealed = await self._objects.get(tenant_id, image_id)
            if sealed is None:
                sealed = await self._objects.get(_aside(tenant_id), image_id)
        return None if sealed is None else cipher.open(sealed, PURPOSE, image_id)

    async def seal_again(self, tenant_id: str, image_id: str, cipher: Cipher, *, aside: bool = False) -> bool:
        """Seal a photo, or one in quarantine, with the newest key. False if it is so sealed, or gone.

        Raises ServiceUnavailable, and SetupError for a damaged photo.
        """
        space = _aside(tenant_id) if aside else tenant_id
        with self._as_refusal("be sealed again", "The image store cannot take photos now."):
            sealed = await self._objects.get(space, image_id)
            if sealed is None or cipher.is_newest(sealed):
                return False
            photo = cipher.open(sealed, PURPOSE, image_id)
            await self._objects.replace(space, image_id, cipher.seal(photo, PURPOSE, image_id))
        return True

    async def delete(self, tenant_id: str, image_id: str) -> None:
        """Delete a photo durably, also from quarantine. A missing photo is no error. Raises ServiceUnavailable."""
        with self._as_refusal("delete photos", "The image store cannot delete this now; it will be tried again."):
            await self._objects.delete(tenant_id, image_id)
            await self._objects.delete(_aside(tenant_id), image_id)

    async def ids(self, tenant_id: str) -> AsyncIterator[list[str]]:
        """Give batches of the ids of a tenant's photos, with the names of files that a crash left unfinished.

        Raises ServiceUnavailable.
        """
        with self._as_refusal("be listed", "The image store cannot be read now."):
            async for batch in self._objects.batches(tenant_id):
                yield batch

    async def set_aside(self, tenant_id: str, image_id: str) -> None:
        """Move a photo into quarantine. Raises ServiceUnavailable."""
        with self._as_refusal("move photos", "The image store cannot set this aside now."):
            await self._objects.move(image_id, tenant_id, _aside(tenant_id))

    async def put_back(self, tenant_id: str, image_id: str) -> None:
        """Move a photo out of quarantine. Raises ServiceUnavailable."""
        with self._as_refusal("move photos", "The image store cannot put this back now."):
            await self._objects.move(image_id, _aside(tenant_id), tenant_id)

    async def aside(self, tenant_id: str) -> AsyncIterator[list[tuple[str, float]]]:
        """Give batches of the ids of a tenant's photos in quarantine, each with the time of its move there.

        Times are seconds since the Unix epoch. Raises ServiceUnavailable.
        """
        with self._as_refusal("be listed", "The image store cannot be read now."):
            async for batch in self._objects.dated(_aside(tenant_id)):
                yield batch

    async def delete_aside(self, tenant_id: str, image_id: str) -> None:
        """Delete a photo from quarantine, and only from there. Raises ServiceUnavailable."""
        with self._as_refusal("delete photos", "The image store cannot delete this now; it will be tried again."):
            await self._objects.delete(_aside(tenant_id), image_id)

    async def mark(self) -> bytes | None:
        """Give the store's mark, or None where it has none. Raises ServiceUnavailable."""
        with self._as_refusal("be read", "The image store cannot be read now."):
            return await self._objects.get("", MARK)

    async def set_mark(self, mark: bytes) -> None:
        """Replace the store's mark. Raises ServiceUnavailable."""
        with self._as_refusal("take photos", "The image store cannot take this now."):
            await self._objects.replace("", MARK, mark)

    async def probe(self) -> None:
        """Store, read and delete a test object.

        Raises SetupError if the store refuses permanently, and ServiceUnavailable if it may work later.
        """
        name, content = f"probe-{secrets.token_hex(8)}", b"probe"
        try:
            with self._as_refusal("take photos", "The image store cannot take photos now."):
                await self._objects.put("", name, content)
                stored = await self._objects.get("", name)
                await self._objects.delete("", name)
                unfinished = await self._objects.get("", MOVE_MARK)
        except ServiceUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, _DENIALS):
                raise SetupError(
                    f"the image store refuses access ({cause_of_store_error(cause)}): check LIKENESS_IMAGES_URL and "
                    "its credentials"
                ) from error
            raise
        if stored != content:
            raise SetupError("the image store does not return an object that was stored a moment ago")
        if unfinished is not None:
            raise SetupError("a move or a restore to this image store has not ended: run the same command again")

    def close(self) -> None:
        self._objects.close()

    @contextmanager
    def _as_refusal(self, what: str, refusal: str) -> Iterator[None]:
        """Turn the store's faults into ServiceUnavailable with the message ``refusal``.

        Log the cause once, and again when it changes.
        """
        try:
            yield
        except FAULTS as error:
            cause = cause_of_store_error(error)
            if self._causes.get(what) != cause:
                self._causes[what] = cause
                log.error("the image store cannot %s: %s", what, cause)  # noqa: TRY400  no traceback: the store is at fault
            raise ServiceUnavailable(refusal) from error
        if self._causes.pop(what, None):
            log.warning("the image store can %s again", what)


class _Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._folder = FolderStore(root)
        self._files = SizedExecutor("image-file", workers=CONCURRENT_FILES, queue_limit=4096)

    async def put(self, space: str, name: str, content: bytes) -> None:
        await self._files.run(self._folder.put, space, name, content)

    async def replace(self, space: str, name: str, content: bytes) -> None:
        await self._files.run(self._folder.replace, space, name, content)

    async def get(self, space: str, name: str) -> bytes | None:
        return await self._files.run(self._folder.get, space, name)

    async def delete(self, space: str, name: str) -> None:
        await self._files.run(self._folder.delete, space, name)

    async def move(self, name: str, space: str, target: str) -> None:
        await self._files.run(self._folder.move, name, space, target)

    async def batches(self, space: str) -> AsyncIterator[list[str]]:
        listing = self._folder.batches(space)
        while batch := await self._files.run(next, listing, None):
            yield batch

    async def dated(self, space: str) -> AsyncIterator[list[tuple[str, float]]]:
        listing = self._folder.dated(space)
        while batch := await self._files.run(next, listing, None):
            yield batch

    def close(self) -> None:
        self._files.close()


def open_objects(url: str) -> Objects:
    """Open a folder, which is made if it is missing, or an object store. Raises SetupError for an invalid address."""
    address = urlparse(url)
    return _Folder(Path(unquote(address.path))) if address.scheme == "file" else RemoteObjects.at(url)


def spaces_of(tenant_id: str) -> tuple[str, str]:
    """Give the spaces that hold a tenant's photos: those in use, and those in quarantine."""
    return tenant_id, _aside(tenant_id)


def _aside(tenant_id: str) -> str:
    return f"{QUARANTINE}/{tenant_id}"
