"""Photos at rest: sealed bytes under a tenant's own prefix of a folder or of an object store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import BaseError as ObjectStoreError
from obstore.store import ObjectStore, from_url

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import Cipher
from likeness.kit.executors import SizedExecutor
from likeness.store.folder import FolderStore

PURPOSE = "image"
CONCURRENT_FILES = 16
"""Files written at once: their fsyncs end together, so that many wait no longer than one."""


class _Objects(Protocol):
    """Objects named ``space/name``, durable when ``put`` returns and gone for good when ``delete`` does."""

    async def put(self, space: str, name: str, content: bytes) -> None: ...

    async def get(self, space: str, name: str) -> bytes | None: ...

    async def delete(self, space: str, name: str) -> None: ...

    def batches(self, space: str) -> AsyncIterator[list[str]]: ...

    def close(self) -> None: ...


class ImageStore:
    """Puts, gets and deletes photos by tenant and id; what lies in the store is ciphertext."""

    def __init__(self, url: str) -> None:
        address = urlparse(url)
        self._objects: _Objects = (
            _Folder(Path(unquote(address.path))) if address.scheme == "file" else _Remote(_store_at(url))
        )

    async def put(self, tenant_id: str, image_id: str, photo: bytes, cipher: Cipher) -> None:
        """Store a photo, durable when this returns. Raises ServiceUnavailable when the store refuses."""
        try:
            await self._objects.put(tenant_id, image_id, cipher.seal(photo, PURPOSE, image_id))
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot take this now; nothing was changed.") from error

    async def get(self, tenant_id: str, image_id: str, cipher: Cipher) -> bytes | None:
        """Give the photo, or None when there is none. Raises ServiceUnavailable when the store refuses."""
        try:
            sealed = await self._objects.get(tenant_id, image_id)
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot be read now.") from error
        return None if sealed is None else cipher.open(sealed, PURPOSE, image_id)

    async def delete(self, tenant_id: str, image_id: str) -> None:
        """Delete a photo for good; one that is not there is as good as deleted. Raises ServiceUnavailable."""
        try:
            await self._objects.delete(tenant_id, image_id)
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot delete this now; it will be tried again.") from error

    async def ids(self, tenant_id: str) -> AsyncIterator[list[str]]:
        """Give the ids of all of a tenant's photos in batches, and the names of what a crash left unfinished."""
        try:
            async for batch in self._objects.batches(tenant_id):
                yield batch
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot be read now.") from error

    def close(self) -> None:
        self._objects.close()


class _Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._folder = FolderStore(root)
        self._files = SizedExecutor("image-file", workers=CONCURRENT_FILES, queue_limit=4096)

    async def put(self, space: str, name: str, content: bytes) -> None:
        await self._files.run(self._folder.put, space, name, content)

    async def get(self, space: str, name: str) -> bytes | None:
        return await self._files.run(self._folder.get, space, name)

    async def delete(self, space: str, name: str) -> None:
        await self._files.run(self._folder.delete, space, name)

    async def batches(self, space: str) -> AsyncIterator[list[str]]:
        listing = self._folder.batches(space)
        while batch := await self._files.run(next, listing, None):
            yield batch

    def close(self) -> None:
        self._files.close()


class _Remote:
    """S3, GCS or Azure, whose answer to a ``put`` is a promise of durability already."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, space: str, name: str, content: bytes) -> None:
        await obstore.put_async(self._store, f"{space}/{name}", content)

    async def get(self, space: str, name: str) -> bytes | None:
        try:
            found = await obstore.get_async(self._store, f"{space}/{name}")
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    async def delete(self, space: str, name: str) -> None:
        try:
            await obstore.delete_async(self._store, f"{space}/{name}")
        except FileNotFoundError:
            return

    async def batches(self, space: str) -> AsyncIterator[list[str]]:
        async for batch in obstore.list(self._store, prefix=space):
            yield [item["path"].rsplit("/", 1)[-1] for item in batch]

    def close(self) -> None:
        """Nothing is held open."""


def _store_at(url: str) -> ObjectStore:
    try:
        return from_url(url)
    except (ObjectStoreError, ValueError) as error:  # the address is not told: it may carry a secret
        raise SetupError(
            "LIKENESS_IMAGES_URL is no address of an object store, such as s3://bucket/prefix, gs://bucket or az://container"
        ) from error
