"""Blocks have the same content as their rows, after any history of changes. An oracle that remembers all checks it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Connection, create_engine, delete, func, select, update
from sqlalchemy.pool import StaticPool

from likeness.deployment import initialise, open_deployment
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.workers import FaceWorkers
from likeness.gallery import repository
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.maintenance.sweep import PhotoSweep
from likeness.gallery.memory import gallery as memory
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.memory.upkeep import MemoryUpkeep
from likeness.gallery.packs import Packs
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.reindex.repository import ReindexRepository
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.templates import blocks
from likeness.gallery.templates.blocks import TemplateBatch, gathered, joined, seal_span, stored_templates
from likeness.gallery.templates.sealing import seal_template
from likeness.kit.envelope import Cipher, new_data_key
from likeness.kit.executors import SizedExecutor
from likeness.kit.ids import new_id
from likeness.store.authentic.rows import RowKey, use_row_key
from likeness.store.generations import Generations
from likeness.store.images import ImageStore
from likeness.store.tables import gallery_blocks, metadata
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant
from servers import test_settings

SPAN = 4
PACKS = (PackIdentity("old@1"), PackIdentity("new@1"))
SIZE = 5
SIZES = dict.fromkeys(PACKS, SIZE)
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_SPAN", SPAN)
        patch.setattr(repository, "BLOCK_SPAN", SPAN)
        patch.setattr(blocks, "FEWEST_ROWS", 2)
        patch.setattr(blocks, "READ_ROWS", 3)
        yield


def new_tenant() -> Tenant:
    tenant_id = new_id()
    return Tenant(tenant_id, tenant_id, TenantSettings(), Cipher({1: new_data_key()}, tenant_id))


def connect() -> Connection:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    use_row_key(engine, RowKey.new())
    return engine.connect()


def template() -> np.ndarray:
    row = RNG.standard_normal(SIZE)
    return (row / np.linalg.norm(row)).astype(np.float32)


def enrol(
    connection: Connection, tenant: Tenant, *packs: PackIdentity
) -> tuple[int, str, dict[PackIdentity, np.ndarray]]:
    entry_id, templates = new_id(), {pack: template() for pack in packs}
    sealed = {pack: seal_template(tenant, rows, pack=pack, entry_id=entry_id) for pack, rows in templates.items()}
    entry = NewEntry(entry_id, None, {}, 90, None, 0.0, sealed)
    return GalleryRepository(tenant.id).add(connection, entry), entry_id, templates


def count_blocks(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(gallery_blocks)).scalar_one()


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.connection = connect()
        self.tenants = [new_tenant(), new_tenant()]
        self.known: list[dict[int, tuple[str, dict[PackIdentity, np.ndarray]]]] = [{}, {}]

    @rule(who=st.integers(0, 1), packs=st.sets(st.sampled_from(PACKS), min_size=1), count=st.integers(1, 9))
    def enrol(self, who: int, packs: set[PackIdentity], count: int) -> None:
        for _ in range(count):
            key, entry_id, templates = enrol(self.connection, self.tenants[who], *packs)
            self.known[who][key] = (entry_id, templates)

    @rule(who=st.integers(0, 1), place=st.integers(0, 50))
    def erase(self, who: int, place: int) -> None:
        if self.known[who]:
            key = sorted(self.known[who])[place % len(self.known[who])]
            GalleryRepository(self.tenants[who].id).erase(self.connection, self.known[who].pop(key)[0])

    @rule(who=st.integers(0, 1), span=st.integers(0, 12))
    def seal(self, who: int, span: int) -> None:
        newest = GalleryRepository(self.tenants[who].id).newest_key(self.connection)
        assert seal_span(self.connection, self.tenants[who], SIZES, span) == (newest >= (span + 1) * SPAN)

    @rule(who=st.integers(0, 1), pack=st.sampled_from(PACKS), places=st.lists(st.integers(0, 50), max_size=4))
    def provide(self, who: int, pack: PackIdentity, places: list[int]) -> None:
        keys = sorted(self.known[who])
        made = {keys[place % len(keys)]: template() for place in places if keys}
        sealed = {
            key: seal_template(self.tenants[who], rows, pack=pack, entry_id=self.known[who][key][0])
            for key, rows in made.items()
        }
        for key in GalleryRepository(self.tenants[who].id).add_templates(self.connection, pack, sealed):
            self.known[who][key][1][pack] = made[key]

    @rule(who=st.integers(0, 1), pack=st.sampled_from(PACKS), keep=st.booleans())
    def withdraw(self, who: int, pack: PackIdentity, keep: bool) -> None:
        rows = ReindexRepository(self.tenants[who].id)
        (rows.delete_superseded if keep else rows.delete_surplus)(self.connection, pack, list(self.known[who]))
        for _, templates in self.known[who].values():
            if len(templates) == 2:
                del templates[next(each for each in PACKS if (each == pack) != keep)]

    @invariant()
    def what_is_read_is_what_is_stored(self) -> None:
        for tenant, known in zip(self.tenants, self.known, strict=True):
            for pack in PACKS:
                batches = list(stored_templates(self.connection, tenant, pack, SIZE))
                expected = {key: each[pack] for key, (_, each) in sorted(known.items()) if pack in each}
                assert [key for batch in batches for key in batch.keys.tolist()] == list(expected)
                if expected:
                    np.testing.assert_array_equal(joined(batches)[1], np.stack(list(expected.values())))

    def teardown(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=25)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with connect() as connection:
        yield connection
    connection.engine.dispose()


def test_a_span_is_read_from_its_block_until_one_of_its_entries_is_erased(connection: Connection) -> None:
    tenant = new_tenant()
    entries = [enrol(connection, tenant, PACKS[0]) for _ in range(3 * SPAN)]  # keys from 1 on
    assert [seal_span(connection, tenant, SIZES, span) for span in range(4)] == [True, True, True, False]
    read = list(stored_templates(connection, tenant, PACKS[0], SIZE))
    assert [(batch.keys.tolist(), batch.by_row) for batch in read] == [
        ([1, 2, 3], False),
        ([4, 5, 6, 7], False),
        ([8, 9, 10, 11], False),
        ([12], True),
    ]
    assert count_blocks(connection) == 3
    GalleryRepository(tenant.id).erase(connection, entries[4][1])
    read = list(stored_templates(connection, tenant, PACKS[0], SIZE))
    assert [batch.spans for batch in read if batch.by_row] == [[1], [3]]
    assert count_blocks(connection) == 2
    assert seal_span(connection, tenant, SIZES, 1)
    assert [batch.keys.tolist() for batch in stored_templates(connection, tenant, PACKS[0], SIZE)][1] == [4, 6, 7]


def test_a_block_that_goes_while_it_is_about_to_be_read_is_made_up_for_by_its_rows(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = new_tenant()
    for _ in range(2 * SPAN):
        enrol(connection, tenant, PACKS[0])
    seal_span(connection, tenant, SIZES, 0)
    seal_span(connection, tenant, SIZES, 1)
    reading = stored_templates(connection, tenant, PACKS[0], SIZE)
    assert next(reading).keys.tolist() == [1, 2, 3]
    connection.execute(delete(gallery_blocks))
    assert [key for batch in reading for key in batch.keys.tolist()] == [4, 5, 6, 7, 8]


def test_a_block_opens_in_its_own_place_alone(connection: Connection) -> None:
    tenant = new_tenant()
    for _ in range(3 * SPAN):
        enrol(connection, tenant, PACKS[0])
    seal_span(connection, tenant, SIZES, 1)
    connection.execute(update(gallery_blocks).values(span=2))
    read = list(stored_templates(connection, tenant, PACKS[0], SIZE))
    assert all(batch.by_row for batch in read)
    assert [key for batch in read for key in batch.keys.tolist()] == list(range(1, 3 * SPAN + 1))


def test_what_no_block_covers_is_sealed_for_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BLOCK_SPAN", SPAN)
    settings = test_settings(tmp_path)
    initialise(settings)
    deployment = open_deployment(settings)
    tenant, engine = deployment.tenants.create("tenant"), FakeEngine()
    rows = GalleryRepository(tenant.id)

    def enrol_many(connection: Connection) -> None:
        rows.set_packs(connection, GalleryPacks(engine.pack.identity, None))
        for _ in range(3 * SPAN):
            entry_id, new = new_id(), np.eye(1, engine.pack.template_size, dtype=np.float32)[0]
            sealed = {engine.pack.identity: seal_template(tenant, new, pack=engine.pack.identity, entry_id=entry_id)}
            rows.add(connection, NewEntry(entry_id, None, {}, 90, None, 0.0, sealed))

    def loaded() -> LoadedGalleries:
        faces = FaceWorkers(engine, SizedExecutor("none", workers=1, queue_limit=1))
        galleries = LoadedGalleries(Packs(faces, lambda _: engine))
        galleries.rebuild(deployment.database, [tenant])
        assert len(galleries.ready(tenant.id).snapshot.index) == galleries.progress.loaded == 3 * SPAN
        return galleries

    deployment.database.write_now(enrol_many)
    first = loaded()
    assert first.ready(tenant.id).unblocked_spans == {0, 1, 2, 3}
    images = ImageStore(f"file://{tmp_path / 'images'}")
    photos = EntryPhotos(images, deployment.database)
    generations = Generations(images, deployment.database)
    sweep = PhotoSweep(images, photos, deployment.database, generations, deployment.clock)
    upkeep = MemoryUpkeep(first, photos, sweep, deployment.database, deployment.tenants)
    asyncio.run(upkeep.tidy())
    assert first.ready(tenant.id).unblocked_spans == {3}
    assert loaded().ready(tenant.id).unblocked_spans == {3}
    deployment.close()


def test_batches_are_gathered_in_order_until_there_are_enough() -> None:
    batches = [TemplateBatch(np.arange(n), np.zeros((n, 2), np.float32), by_row=True) for n in (2, 3, 1, 4)]
    assert [len(keys) for keys, _ in gathered(batches, 4)] == [5, 5]
    assert [len(rows) for _, rows in gathered(batches, 6)] == [6, 4]
