"""The gallery's parts, put together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.engine.base import Engine
from likeness.engine.workers import FaceWorkers
from likeness.gallery.enrolment import Enroller
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.maintenance.upkeep import GalleryUpkeep
from likeness.gallery.memory.galleries import Galleries
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.reindex.job import Reindexer
from likeness.gallery.search import Searcher
from likeness.gallery.service import GalleryService
from likeness.index.base import Index
from likeness.index.exact import ExactIndex
from likeness.kit.clock import Clock
from likeness.kit.executors import SizedExecutor
from likeness.store.database import Database
from likeness.store.generations import Generations
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenants

CONCURRENT_SCANS = 8
"""Scans that wait together share one pass over the gallery, so more threads than cores wait at no cost."""


@dataclass(frozen=True, slots=True)
class GalleryParts:
    """What the application holds of the gallery. ``upkeep`` and ``reindexer`` run beside the calls from start to stop."""

    service: GalleryService
    galleries: Galleries
    upkeep: GalleryUpkeep
    reindexer: Reindexer
    images: ImageStore
    scans: SizedExecutor

    @property
    def by_type(self) -> dict[type, Any]:
        """What endpoints ask for."""
        return {Galleries: self.galleries, GalleryService: self.service}

    def close(self) -> None:
        """Let go of threads, once no call is under way."""
        self.scans.close()
        self.galleries.close()
        self.images.close()


def compose_gallery(
    faces: FaceWorkers,
    load_pack: Callable[[str], Engine],
    database: Database,
    tenants: Tenants,
    clock: Clock,
    *,
    images_url: str,
    workers: int,
    make_index: Callable[[int], Index] = ExactIndex,
) -> GalleryParts:
    """Put the gallery together, empty: ``upkeep.load`` fills it."""
    images = ImageStore(images_url)
    scans = SizedExecutor("scan", workers=CONCURRENT_SCANS)
    packs = Packs(faces, load_pack)
    galleries = Galleries(packs, make_index=make_index)
    database.on_ownership(galleries.follow_ownership)
    photos = EntryPhotos(images, database)
    searcher = Searcher(packs, galleries, database, scans)
    enroller = Enroller(galleries, photos, database, clock)
    service = GalleryService(packs, galleries, searcher, enroller, photos, database)
    sweep = PhotoSweep(images, photos, database, Generations(images, database), clock)
    upkeep = GalleryUpkeep(galleries, photos, sweep, database, tenants)
    reindexer = Reindexer(
        packs, galleries, photos, database, tenants, scans, service.erase, clock, photos_at_once=max(1, workers // 2)
    )
    return GalleryParts(service, galleries, upkeep, reindexer, images, scans)
