"""A deployment with its galleries, and no server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from likeness.deployment import Deployment, initialise, is_initialised, open_deployment
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.workers import FaceWorkers
from likeness.gallery.composition import ComposedGallery, compose_gallery
from likeness.gallery.pack_files import PackFiles
from likeness.gallery.repository import GalleryRepository
from likeness.kit.clock import Clock
from likeness.kit.executors import SizedExecutor
from likeness.tenants.service import Tenant
from servers import test_settings


def picture(person: int) -> bytes:
    return fake_photo(person, size=(160, 120))


@contextmanager
def composed(folder: Path, clock: Clock | None = None, **settings: Any) -> Iterator[tuple[Deployment, ComposedGallery]]:
    """Open a deployment with its galleries. Make it if there is none."""
    chosen = test_settings(folder, **{"workers": 2} | settings)
    if not is_initialised(chosen):
        initialise(chosen)
    deployment = open_deployment(chosen, clock)
    PackFiles(deployment).check_at_start()  # as a start does
    photos = SizedExecutor("photo", workers=2)
    gallery = compose_gallery(deployment, FaceWorkers(FakeEngine(), photos))
    try:
        yield deployment, gallery
    finally:
        photos.close()
        gallery.close()
        deployment.close()


def entries(deployment: Deployment, tenant: Tenant) -> int:
    return deployment.database.read_now(GalleryRepository(tenant.id).count)


def empty_database(file: Path) -> str:
    """Make an empty SQLite file, because a database never makes its file. Give its address."""
    file.touch()
    return f"sqlite:///{file}"
