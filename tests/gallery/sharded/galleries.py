"""Galleries of real templates in a PostgreSQL database, and what one index over all their rows would answer."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from gallery.operations import OLD, PACKS, change_at_random
from likeness.deployment import Deployment, initialise, open_deployment
from likeness.engine.fake import FAKES
from likeness.engine.packs.identity import PackIdentity, id_of
from likeness.gallery.repository import BLOCK_SPAN, GalleryPacks, GalleryRepository, Part
from likeness.gallery.sharded.fan_out import FanOut
from likeness.gallery.sharded.following import GalleryFollower, numbers_now
from likeness.gallery.sharded.shard import NumberedAnswer, OrphanQuery, Shard, ShardQuery
from likeness.gallery.templates.blocks import open_rows
from likeness.gallery.templates.sealing import seal_template
from likeness.index import compiled
from likeness.index.base import Hit
from likeness.index.exact import ExactIndex
from likeness.index.faiss_scan import FaissScan
from likeness.index.scans import CompiledScan
from likeness.settings import Settings
from likeness.store.database import Database
from likeness.store.sharing.listening import Listener
from likeness.tenants.service import Tenant


def template_size(pack: PackIdentity) -> int:
    return FAKES[id_of(pack)].pack.template_size


def vectors(pack: PackIdentity) -> NDArray[np.float32]:
    """Give few unit vectors, some of them nearly equal, so that scores are often tied."""
    rows = np.random.default_rng(1).standard_normal((8, template_size(pack)))
    rows[4:6] = rows[:2] + 1e-7
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


SCANS = [*(name for name, _ in compiled.kernels()), "faiss"] if compiled.BUILT else ["faiss"]
AMPLE = 1 << 30
"""Bytes that each of these galleries fits in."""
POOLS = {pack: vectors(pack) for pack in PACKS}


@dataclass
class RealGallery:
    """A tenant whose templates are sealed as the product seals them. One of twenty is damaged."""

    deployment: Deployment
    tenant: Tenant
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def rows(self) -> GalleryRepository:
        return GalleryRepository(self.tenant.id)

    def seal(self, pack: PackIdentity, entry_id: str) -> bytes:
        return b"damaged" if self.chance.random() < 0.05 else self.sound_seal(pack, entry_id)

    def sound_seal(self, pack: PackIdentity, entry_id: str) -> bytes:
        return seal_template(self.tenant, self.chance.choice(POOLS[pack]), pack=pack, entry_id=entry_id)

    def change(self, count: int) -> None:
        change_at_random(self.deployment.database, self.rows, self.chance.randrange(1 << 30), count, self.seal)

    def leap(self) -> None:
        """Let the next entries have keys some spans further on, as after enrolments of other tenants."""
        sequence = "pg_get_serial_sequence('gallery_entries', 'key')"
        further = f"SELECT setval({sequence}, nextval({sequence}) + {BLOCK_SPAN * self.chance.randint(0, 3)})"
        self.deployment.database.write_now(lambda c: c.execute(text(further)).all())

    def leap_to(self, span: int) -> None:
        """Let the next entry have the first key of a span."""
        first = f"SELECT setval(pg_get_serial_sequence('gallery_entries', 'key'), {BLOCK_SPAN * span}, false)"
        self.deployment.database.write_now(lambda c: c.execute(text(first)).all())

    @property
    def number(self) -> int:
        return self.deployment.database.read_now(lambda c: numbers_now(c, [self.tenant.id]))[self.tenant.id]

    def index(self, pack: PackIdentity) -> ExactIndex:
        """Give one index over all rows of a pack."""
        index = ExactIndex(template_size(pack))

        def read(connection: Connection) -> None:
            for rows in self.rows.templates(connection, pack, batch=1000):
                batch = open_rows(self.tenant, pack, index.dimension, rows)
                index.add_many(batch.keys, batch.rows)

        self.deployment.database.read_now(read)
        return index

    def truth(self) -> "Truth":
        packs = self.deployment.database.read_now(self.rows.packs)
        assert packs
        return Truth({pack: self.index(pack) for pack in PACKS}, packs.pack)

    def queries(self, pack: PackIdentity, count: int) -> list[ShardQuery]:
        """Give searches of several kinds, for the newest number. Each also searches the orphans of the other pack."""
        (other,) = set(PACKS) - {pack}
        return [
            ShardQuery(
                *(self.tenant.id, pack, self.chance.choice(POOLS[pack]), self.number, *bounds),
                orphans={other: OrphanQuery(self.chance.choice(POOLS[other]), 0.1)},
            )
            for _, bounds in zip(range(count), self._bounds(), strict=False)
        ]

    def _bounds(self) -> Iterator[tuple[int | None, float]]:
        while True:
            yield from ((1, -1.0), (3, -1.0), (50, 0.5), (None, 0.1))


@dataclass
class Truth:
    """What a gallery holds at one moment: one index over all rows of each pack, and the pack that answers."""

    indexes: dict[PackIdentity, ExactIndex]
    answering: PackIdentity

    def gives(self, found: NumberedAnswer, query: ShardQuery) -> bool:
        """Whether an answer is the one that the indexes give."""
        index = self.indexes[query.pack]
        answer = index.above(query.template, query.minimum_score)
        if query.k is not None:
            answer = index.search(query.template, k=query.k, minimum_score=query.minimum_score)
        orphans = {pack: self._orphans(pack, query) for pack in query.orphans}
        hits = {pack: (each.hits, each.certified) for pack, each in found.orphans.items()}
        return (found.answer, found.number, hits) == (answer, query.number, orphans) and self._names(found, query)

    def give(self, found: Sequence[NumberedAnswer], queries: Sequence[ShardQuery]) -> bool:
        return all(self.gives(*each) for each in zip(found, queries, strict=True))

    def _orphans(self, pack: PackIdentity, query: ShardQuery) -> tuple[tuple[Hit, ...], bool]:
        asked = query.orphans[pack]
        answer = self.indexes[pack].above(asked.template, asked.minimum_score)
        return tuple(hit for hit in answer.hits if hit.key not in self.indexes[query.pack]), answer.certified

    def _names(self, found: NumberedAnswer, query: ShardQuery) -> bool:
        """Whether the answer names the packs with orphans. For a pack that answers no longer it may name more."""
        answered = set(self.indexes[query.pack].keys())
        packs = {pack for pack, index in self.indexes.items() if set(index.keys()) - answered}
        return packs == found.orphaned or (query.pack != self.answering and packs < found.orphaned)


def ask(fan_out: FanOut, queries: Sequence[ShardQuery], *, seconds: float = 60) -> list[NumberedAnswer]:
    async def all_of_them() -> list[NumberedAnswer]:
        return [await fan_out.search(query, seconds=seconds) for query in queries]

    return asyncio.run(all_of_them())


def new_real_gallery(deployment: Deployment, name: str = "tenant") -> RealGallery:
    gallery = RealGallery(deployment, deployment.tenants.create(name))
    deployment.database.write_now(lambda c: gallery.rows.set_packs(c, GalleryPacks(OLD, None)))
    return gallery


@contextmanager
def real_deployment(settings: Settings) -> Iterator[Deployment]:
    initialise(settings)
    deployment = open_deployment(settings)
    try:
        yield deployment
    finally:
        deployment.close()


def settings_on(folder: Path, database_url: str) -> Settings:
    return Settings(data_dir=folder, database_url=database_url, pack="fake")


@dataclass
class Followed:
    """A shard of this process, and the follower that feeds it."""

    shard: Shard
    follower: GalleryFollower
    fails: bool = False
    searches: int = 0

    async def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        self.searches += 1
        if self.fails:
            raise ConnectionError
        return await asyncio.to_thread(self.shard.search, query, seconds=seconds)


@contextmanager
def following(
    deployment: Deployment, part: Part, *, limit_bytes: int = AMPLE, scan: str = SCANS[0]
) -> Iterator[Followed]:
    tenants = deployment.tenants

    def make_index(dimension: int) -> ExactIndex:
        return ExactIndex(dimension, scan=FaissScan(dimension) if scan == "faiss" else CompiledScan(scan))

    shard = Shard(
        part,
        tenants.by_id,
        limit_bytes=limit_bytes,
        close_tenant=tenants.forget,
        make_index=make_index,
    )
    with closing(Database(deployment.database.url)) as database, closing(Listener(database.url)) as listener:
        follower = GalleryFollower(database, listener, shard)
        follower.follow_all()
        yield Followed(shard, follower)


def query_for(gallery: RealGallery, number: int | None = None) -> ShardQuery:
    return ShardQuery(gallery.tenant.id, OLD, POOLS[OLD][0], gallery.number if number is None else number)
