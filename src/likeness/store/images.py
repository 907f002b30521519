"""Photos at rest: sealed bytes under a tenant's own prefix of an object store."""

from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import BaseError as ObjectStoreError
from obstore.store import LocalStore, ObjectStore, from_url

from likeness.errors import ServiceUnavailable
from likeness.kit.envelope import Cipher

PURPOSE = "image"


class ImageStore:
    """Puts, gets and deletes photos by tenant and id; what lies in the store is ciphertext."""

    def __init__(self, url: str) -> None:
        address = urlparse(url)
        if address.scheme == "file":
            folder = Path(unquote(address.path))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: ObjectStore = LocalStore(folder)
        else:
            self._store = from_url(url)

    async def put(self, tenant_id: str, image_id: str, photo: bytes, cipher: Cipher) -> None:
        """Store a photo. Raises ServiceUnavailable when the store refuses."""
        try:
            await obstore.put_async(self._store, _path(tenant_id, image_id), cipher.seal(photo, PURPOSE, image_id))
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot take this now; nothing was changed.") from error

    async def get(self, tenant_id: str, image_id: str, cipher: Cipher) -> bytes | None:
        """Give the photo, or None when there is none."""
        try:
            found = await obstore.get_async(self._store, _path(tenant_id, image_id))
            sealed = bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot be read now.") from error
        return cipher.open(sealed, PURPOSE, image_id)

    async def delete(self, tenant_id: str, image_id: str) -> None:
        """Delete a photo; one that is not there is as good as deleted."""
        try:
            await obstore.delete_async(self._store, _path(tenant_id, image_id))
        except FileNotFoundError:
            return
        except (ObjectStoreError, OSError) as error:
            raise ServiceUnavailable("The image store cannot delete this now; try again.") from error

    async def list_ids(self, tenant_id: str) -> set[str]:
        """Give the ids of all photos of a tenant; for the sweep of orphans after a crash."""
        ids: set[str] = set()
        async for batch in obstore.list(self._store, prefix=tenant_id):
            ids.update(item["path"].rsplit("/", 1)[-1] for item in batch)
        return ids


def _path(tenant_id: str, image_id: str) -> str:
    return f"{tenant_id}/{image_id}"
