"""The gallery's parts, put together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, text

from likeness.deployment import Deployment
from likeness.engine.workers import FaceWorkers
from likeness.errors import SetupError
from likeness.gallery.enrolment import Enroller
from likeness.gallery.entries.expiry import EntryExpiry
from likeness.gallery.fpir.known import KnownMeasurements
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.maintenance.upkeep import GalleryUpkeep
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.memory.upkeep import MemoryUpkeep
from likeness.gallery.memory.views import GalleriesInMemory
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.reindex.job import Reindexer, ReindexServices
from likeness.gallery.search import Searcher
from likeness.gallery.served_pack import load_pack
from likeness.gallery.service import GalleryService
from likeness.gallery.sharded.layout import Layout
from likeness.gallery.sharded.upkeep import Parts, ShardedUpkeep, ShardWatch
from likeness.gallery.sharded.views import GalleriesInShards
from likeness.gallery.templates.enrolled import EnrolledTemplates
from likeness.gallery.views import Galleries, HasCondition
from likeness.index.exact import index_maker
from likeness.kit.executors import SizedExecutor
from likeness.store.generations import Generations
from likeness.store.images import ImageStore

CONCURRENT_SCANS = 8
"""More threads than cores cost nothing, because scans that wait together share one pass over the gallery."""
SETTLE_SECONDS = 120.0
"""Longest time from a photo's arrival to its commit, with other servers on the same photos."""
STARTING_SECONDS = 60
"""How long a server may keep others from starting shards while it says nothing, such as while it is paused."""
_STARTING = 0x4C696B656E657374
"""Key of the advisory lock of the process that starts the shards."""


@dataclass(frozen=True, slots=True)
class ComposedGallery:
    """The gallery's parts that the application needs. ``upkeep`` and ``reindexer`` run from start to stop."""

    service: GalleryService
    enrolled: EnrolledTemplates
    held: HasCondition
    upkeep: GalleryUpkeep
    expiry: EntryExpiry
    reindexer: Reindexer
    images: ImageStore
    close: Callable[[], None]
    """Releases threads and connections. No call may be under way."""

    async def keep(self) -> None:
        """Do the work for all galleries that one server does at a time, until cancelled."""
        await asyncio.gather(self.upkeep.run(), self.expiry.run())

    @property
    def galleries(self) -> LoadedGalleries:
        """The galleries of a deployment that holds them in memory."""
        assert isinstance(self.held, LoadedGalleries)
        return self.held


@dataclass(frozen=True, slots=True)
class _Holding:
    """One of the two ways to hold the galleries."""

    views: Galleries
    condition: HasCondition
    upkeep: Callable[[EntryPhotos, PhotoSweep], GalleryUpkeep]
    close: Callable[[], None]


def compose_gallery(deployment: Deployment, faces: FaceWorkers) -> ComposedGallery:
    """Put the gallery together. It answers once ``upkeep.load`` has ended. Raises SetupError without its shards."""
    database, clock, settings = deployment.database, deployment.clock, deployment.settings
    images = ImageStore(settings.images_address)
    packs = Packs(faces, partial(load_pack, deployment))
    held = _in_shards(deployment, packs) if settings.shares_galleries else _in_memory(deployment, packs)
    photos = EntryPhotos(images, database)
    enroller = Enroller(packs, held.views, photos, database, clock)
    searcher = Searcher(packs, KnownMeasurements(database, clock))
    service = GalleryService(packs, held.views, searcher, enroller, photos, database)
    settle_seconds = SETTLE_SECONDS if settings.shares_galleries else 0.0
    sweep = PhotoSweep(images, photos, database, Generations(images, database), clock, settle_seconds)
    photos_at_once = max(1, settings.photos_at_once // 2)
    reindex_services = ReindexServices(
        packs, held.views, photos, database, service.erase, clock, photos_at_once=photos_at_once
    )

    def close() -> None:
        held.close()
        images.close()

    reindexer = Reindexer(reindex_services, deployment.tenants)
    enrolled = EnrolledTemplates(packs, held.views, database)
    expiry = EntryExpiry(database, deployment.tenants, service.erase_expired, clock)
    upkeep = held.upkeep(photos, sweep)
    return ComposedGallery(service, enrolled, held.condition, upkeep, expiry, reindexer, images, close)


def _in_memory(deployment: Deployment, packs: Packs) -> _Holding:
    database, settings = deployment.database, deployment.settings
    scans = SizedExecutor("scan", workers=CONCURRENT_SCANS)
    make_index = index_maker(
        threads=settings.scan_threads, scans_at_once=settings.scans_at_once, folder=settings.templates_folder
    )
    galleries = LoadedGalleries(packs, make_index=make_index)
    database.on_ownership_change(galleries.ownership_changed)

    def upkeep(photos: EntryPhotos, sweep: PhotoSweep) -> GalleryUpkeep:
        return MemoryUpkeep(galleries, photos, sweep, database, deployment.tenants)

    def close() -> None:
        scans.close()
        galleries.close()

    return _Holding(GalleriesInMemory(galleries, database, scans), galleries, upkeep, close)


def _in_shards(deployment: Deployment, packs: Packs) -> _Holding:
    """Find the deployment's shards, or start them. Raises SetupError."""
    try:
        from likeness.gallery.sharded.ray_cluster import ShardCluster  # noqa: PLC0415  Ray is optional
        from likeness.kit.cluster.connection import connect, disconnect  # noqa: PLC0415  as above
    except ModuleNotFoundError as error:
        raise SetupError("LIKENESS_GALLERY=ray needs Ray: install likeness-server[ray]") from error
    database, settings, layout = deployment.database, deployment.settings, Layout.of(deployment)
    connect(settings.ray_address, layout.namespace)

    def started(connection: Connection) -> Parts:
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{STARTING_SECONDS} s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTING})
        return ShardCluster(layout).parts

    # Not on the writer's thread: while Ray does not answer, changes must go on.
    watched = ShardWatch(partial(database.read_now, started))

    def upkeep(photos: EntryPhotos, sweep: PhotoSweep) -> GalleryUpkeep:
        return ShardedUpkeep(watched, photos, sweep, database, deployment.tenants, packs)

    return _Holding(GalleriesInShards(packs, database, watched.fan_out), watched, upkeep, disconnect)
