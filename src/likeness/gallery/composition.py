"""The gallery's parts, put together."""

from dataclasses import dataclass
from functools import partial

from likeness.deployment import Deployment
from likeness.engine.workers import FaceWorkers
from likeness.gallery.enrolment import Enroller
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.maintenance.upkeep import GalleryUpkeep
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.memory.views import GalleriesInMemory
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.reindex.job import Reindexer, ReindexServices
from likeness.gallery.search import Searcher
from likeness.gallery.served_pack import load_pack
from likeness.gallery.service import GalleryService
from likeness.index.exact import index_maker
from likeness.kit.executors import SizedExecutor
from likeness.store.generations import Generations
from likeness.store.images import ImageStore

CONCURRENT_SCANS = 8
"""More threads than cores cost nothing, because scans that wait together share one pass over the gallery."""


@dataclass(frozen=True, slots=True)
class ComposedGallery:
    """The gallery's parts that the application needs. ``upkeep`` and ``reindexer`` run from start to stop."""

    service: GalleryService
    galleries: LoadedGalleries
    upkeep: GalleryUpkeep
    reindexer: Reindexer
    images: ImageStore
    scans: SizedExecutor

    def close(self) -> None:
        """Release threads. No call may be under way."""
        self.scans.close()
        self.galleries.close()
        self.images.close()


def compose_gallery(deployment: Deployment, faces: FaceWorkers) -> ComposedGallery:
    """Put the gallery together. It is empty until ``upkeep.load`` fills it."""
    database, tenants, clock, settings = deployment.database, deployment.tenants, deployment.clock, deployment.settings
    images = ImageStore(settings.images_address)
    scans = SizedExecutor("scan", workers=CONCURRENT_SCANS)
    packs = Packs(faces, partial(load_pack, deployment))
    make_index = index_maker(
        threads=settings.scan_threads, scans_at_once=settings.scans_at_once, folder=settings.templates_folder
    )
    galleries = LoadedGalleries(packs, make_index=make_index)
    database.on_ownership_change(galleries.ownership_changed)
    photos = EntryPhotos(images, database)
    views = GalleriesInMemory(galleries, database, scans)
    enroller = Enroller(packs, views, photos, database, clock)
    service = GalleryService(packs, views, Searcher(packs), enroller, photos, database)
    sweep = PhotoSweep(images, photos, database, Generations(images, database), clock)
    upkeep = GalleryUpkeep(galleries, photos, sweep, database, tenants)
    photos_at_once = max(1, settings.workers // 2)
    reindex_services = ReindexServices(
        packs, views, photos, database, service.erase, clock, photos_at_once=photos_at_once
    )
    reindexer = Reindexer(reindex_services, tenants)
    return ComposedGallery(service, galleries, upkeep, reindexer, images, scans)
