"""A photo without an entry is deleted, even when another task deletes it at the same time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.deployment import Deployment, initialise, open_deployment
from likeness.errors import ServiceUnavailable
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.maintenance.photo_rows import photos_to_delete
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import GalleryRepository
from likeness.store.images import ImageStore
from servers import test_settings


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    settings = test_settings(tmp_path)
    initialise(settings)
    deployment = open_deployment(settings)
    yield deployment
    deployment.close()


async def stored(images: ImageStore, tenant_id: str) -> set[str]:
    return {image_id async for batch in images.ids(tenant_id) for image_id in batch}


def test_the_upkeep_may_delete_a_photo_while_its_request_gives_it_up(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    tenant = deployment.tenants.create("tenant")
    delete = images.delete

    async def main() -> None:
        first_is_deleting, upkeep_is_done = asyncio.Event(), asyncio.Event()

        async def held(tenant_id: str, image_id: str) -> None:
            first_is_deleting.set()
            await upkeep_is_done.wait()
            await delete(tenant_id, image_id)

        async def give_up() -> None:
            async with photos.arriving(tenant, b"photo"):
                pass

        monkeypatch.setattr(images, "delete", held)
        request = asyncio.create_task(give_up())
        await first_is_deleting.wait()
        monkeypatch.setattr(images, "delete", delete)
        await photos.delete_overdue()
        upkeep_is_done.set()
        await request
        assert await stored(images, tenant.id) == set()

    asyncio.run(main())
    images.close()


def test_a_photo_that_could_not_be_given_up_is_deleted_by_the_upkeep(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    tenant = deployment.tenants.create("tenant")

    async def main() -> None:
        async def refused(tenant_id: str, image_id: str) -> None:
            raise ServiceUnavailable("not now")

        with monkeypatch.context() as patch:
            patch.setattr(images, "delete", refused)
            async with photos.arriving(tenant, b"photo") as pending:
                pass
        assert await stored(images, tenant.id) == {pending.image_id}
        await photos.delete_overdue()
        assert await stored(images, tenant.id) == set()

    asyncio.run(main())
    images.close()


def test_a_photo_that_cannot_be_deleted_holds_up_no_other(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    tenant = deployment.tenants.create("tenant")
    delete = images.delete

    async def main() -> None:
        async def refused(tenant_id: str, image_id: str) -> None:
            raise ServiceUnavailable("not now")

        with monkeypatch.context() as patch:
            patch.setattr(images, "delete", refused)
            kept = []
            for _ in range(2):
                async with photos.arriving(tenant, b"photo") as pending:
                    kept.append(pending.image_id)

        async def refused_the_first(tenant_id: str, image_id: str) -> None:
            await (refused if image_id == kept[0] else delete)(tenant_id, image_id)

        monkeypatch.setattr(images, "delete", refused_the_first)
        with pytest.raises(ServiceUnavailable):
            await photos.delete_overdue()
        assert await stored(images, tenant.id) == {kept[0]}

    asyncio.run(main())
    images.close()


def test_a_photo_that_an_entry_let_go_of_is_deleted_after_a_crash(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start deletes it even when it would not touch stray photos."""
    images = ImageStore(f"file://{tmp_path / 'images'}")
    tenant = deployment.tenants.create("tenant")
    rows = GalleryRepository(tenant.id)
    entries = [NewEntry(str(n), None, {}, 90, f"{n}" * 24, 0.0, {}) for n in range(2)]

    async def main() -> None:
        for entry in entries:
            await images.put(tenant.id, str(entry.image_id), b"photo", tenant.cipher)
            deployment.database.write_now(lambda c, entry=entry: rows.add(c, entry))  # type: ignore[misc]
        deployment.database.write_now(lambda c: rows.erase(c, "0"))
        deployment.database.write_now(lambda c: rows.forget_image(c, "1"))  # and here the server is killed
        photos = EntryPhotos(images, deployment.database)
        await photos.recall_overdue()
        await photos.delete_overdue()
        assert await stored(images, tenant.id) == set()
        assert deployment.database.read_now(lambda c: list(photos_to_delete(c))) == []

    asyncio.run(main())
    images.close()
