"""A photo that nobody was enrolled with is deleted, whoever else is at it."""

import asyncio

import pytest

from likeness.deployment import initialise, open_deployment
from likeness.engine.base import Engine
from likeness.engine.fake import FakeEngine
from likeness.engine.workers import FaceWorkers
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery import upkeep
from likeness.gallery.galleries import Galleries
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.upkeep import GalleryUpkeep
from likeness.kit.executors import SizedExecutor
from likeness.store.images import ImageStore
from servers import test_settings


@pytest.fixture
def deployment(tmp_path):
    settings = test_settings(tmp_path)
    initialise(settings)
    deployment = open_deployment(settings)
    yield deployment
    deployment.close()


async def stored(images: ImageStore, tenant_id: str) -> set[str]:
    return {image_id async for batch in images.ids(tenant_id) for image_id in batch}


def test_the_upkeep_may_delete_a_photo_while_its_request_gives_it_up(deployment, tmp_path, monkeypatch):
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


def test_a_photo_that_could_not_be_given_up_is_deleted_by_the_upkeep(deployment, tmp_path, monkeypatch):
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    tenant = deployment.tenants.create("tenant")

    async def main() -> None:
        async def refused(tenant_id: str, image_id: str) -> None:
            raise ServiceUnavailable("not now")

        with monkeypatch.context() as patch:
            patch.setattr(images, "delete", refused)
            async with photos.arriving(tenant, b"photo") as arrival:
                pass
        assert await stored(images, tenant.id) == {arrival.image_id}
        await photos.delete_overdue()
        assert await stored(images, tenant.id) == set()

    asyncio.run(main())
    images.close()


def test_a_photo_that_cannot_be_deleted_holds_up_no_other(deployment, tmp_path, monkeypatch):
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
                async with photos.arriving(tenant, b"photo") as arrival:
                    kept.append(arrival.image_id)

        async def refused_the_first(tenant_id: str, image_id: str) -> None:
            await (refused if image_id == kept[0] else delete)(tenant_id, image_id)

        monkeypatch.setattr(images, "delete", refused_the_first)
        with pytest.raises(ServiceUnavailable):
            await photos.delete_overdue()
        assert await stored(images, tenant.id) == {kept[0]}

    asyncio.run(main())
    images.close()


def test_photos_of_nobody_are_swept_even_if_the_store_is_down_at_first(deployment, tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep, "RETRY_SECONDS", 0.01)
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    galleries = Galleries(Packs(FaceWorkers(FakeEngine(), SizedExecutor("none", workers=1, queue_limit=1)), no_pack))
    tenants = [deployment.tenants.create(name) for name in ("first", "second")]
    delete, refused = images.delete, []

    async def refusing_at_first(tenant_id: str, image_id: str) -> None:
        if len(refused) < 2:
            refused.append(image_id)
            raise ServiceUnavailable("not now")
        await delete(tenant_id, image_id)

    async def main() -> None:
        for tenant in tenants:
            await images.put(tenant.id, "0" * 24, b"photo", tenant.cipher)
        monkeypatch.setattr(images, "delete", refusing_at_first)
        await GalleryUpkeep(galleries, photos, deployment.database, deployment.tenants, deployment.clock).load()
        assert [await stored(images, tenant.id) for tenant in tenants] == [set(), set()]

    asyncio.run(main())
    assert len(refused) == 2
    images.close()


def no_pack(pack_id: str) -> Engine:
    raise SetupError(f"no pack {pack_id}")
