"""Stored damage affects only its own entry. The rest of the tenant is served. The operator can find and drop it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, update
from typer.testing import CliRunner

from composition import composed, entries, picture
from likeness.cli import app
from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackId, PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery import repository
from likeness.gallery.composition import ComposedGallery
from likeness.gallery.maintenance import verification
from likeness.gallery.reindex.repository import ReindexRepository, ReindexState
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates import blocks
from likeness.gallery.templates.blocks import seal_span
from likeness.gallery.templates.sealing import seal_template
from likeness.kit.envelope import HEAD_BYTES
from likeness.store.images import ImageStore
from likeness.store.tables import gallery_blocks, gallery_templates
from likeness.tenants.service import Tenant

PACK = PackIdentity("fake@1")


def flipped(tenant: Tenant, entry_id: str, sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def resealed(*values: float) -> Callable[[Tenant, str, bytes], bytes]:
    """Seal another template in its place. One value is repeated to the full length."""

    def seal(tenant: Tenant, entry_id: str, sealed: bytes) -> bytes:
        size = (len(sealed) - HEAD_BYTES - 28) // 4
        numbers = np.resize(np.array(values, np.float32), size) if len(values) == 1 else np.array(values, np.float32)
        return seal_template(tenant, numbers, pack=PACK, entry_id=entry_id)

    return seal


DAMAGES = {
    "does not open": flipped,
    "wrong length": resealed(1.0, 0.0),
    "not finite": resealed(float("nan")),
    "not a unit vector": resealed(3.0),
}


def damage(deployment: Deployment, tenant: Tenant, entry_id: str, how: Callable[[Tenant, str, bytes], bytes]) -> None:
    def change(connection: Connection) -> None:
        entry = GalleryRepository(tenant.id).find(connection, entry_id)
        assert entry
        mine = gallery_templates.c.entry_key == entry.key
        sealed = connection.execute(gallery_templates.select().where(mine)).one().sealed_template
        values = {"sealed_template": how(tenant, entry_id, sealed)}
        connection.execute(update(gallery_templates).where(mine).values(values))

    deployment.database.write_now(change)


def enrolled(folder: Path, *, people: int = 3) -> tuple[str, list[str]]:
    """Enrol people in a new tenant. Gives the tenant's id and the entries' ids."""

    async def enrol(gallery: ComposedGallery, tenant: Tenant) -> list[str]:
        await gallery.upkeep.load()
        return [await gallery.service.insert(tenant, picture(person)) for person in range(people)]

    with composed(folder) as (deployment, gallery):
        tenant = deployment.tenants.create("acme")
        return tenant.id, asyncio.run(enrol(gallery, tenant))


def verify(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(folder))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    result = CliRunner().invoke(app, ["gallery", "verify", *options], catch_exceptions=False)
    return result.exit_code, result.stdout


def answers(folder: Path, tenant_id: str, people: int) -> list[Any]:
    """Load the gallery and search for people. Gives the id found for each, then the number of unreadable entries."""

    async def search(deployment: Deployment, gallery: ComposedGallery) -> list[Any]:
        await gallery.upkeep.load()
        tenant = deployment.tenants.by_name(tenant_id)
        outcomes = [await gallery.service.search(tenant, picture(person)) for person in range(people)]
        assert all(outcome.certified for outcome in outcomes)
        return [outcome.entry_id for outcome in outcomes] + [gallery.held.condition.unreadable]

    with composed(folder) as (deployment, gallery):
        return asyncio.run(search(deployment, gallery))


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_template_refuses_its_entry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    tenant_id, ids = enrolled(tmp_path)
    with composed(tmp_path) as (deployment, _):
        damage(deployment, deployment.tenants.by_name(tenant_id), ids[1], DAMAGES[kind])
    assert answers(tmp_path, tenant_id, 3) == [ids[0], None, ids[2], 1]
    (line,) = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert line.startswith(f"1 entries of tenant {tenant_id}")
    code, printed = verify(tmp_path, monkeypatch)
    assert code == 1
    assert f"entry {ids[1]}: its template of {PACK} " in printed
    assert ids[0] not in printed
    assert answers(tmp_path, tenant_id, 3)[-1] == 1, "nothing is dropped unasked"
    code, printed = verify(tmp_path, monkeypatch, "--drop")
    assert (code, "1 entries erased" in printed) == (0, True)
    assert verify(tmp_path, monkeypatch) == (0, "Nothing is damaged.\n")
    assert answers(tmp_path, tenant_id, 3) == [ids[0], None, ids[2], 0]
    assert len(list((tmp_path / "images" / tenant_id).iterdir())) == 2


def test_an_entry_that_cannot_be_read_can_be_erased_by_a_call(tmp_path: Path) -> None:
    async def main(deployment: Deployment, gallery: ComposedGallery) -> None:
        tenant = deployment.tenants.by_name(tenant_id)
        await gallery.upkeep.load()
        assert gallery.held.condition.unreadable == 1
        await gallery.service.erase(tenant, ids[1])
        assert gallery.held.condition.unreadable == 0
        assert entries(deployment, tenant) == 2

    tenant_id, ids = enrolled(tmp_path)
    with composed(tmp_path) as (deployment, gallery):
        damage(deployment, deployment.tenants.by_name(tenant_id), ids[1], flipped)
        asyncio.run(main(deployment, gallery))


def test_a_damaged_template_holds_up_no_move_to_another_pack(tmp_path: Path) -> None:
    """The new pack finds its entry again."""

    async def main(deployment: Deployment, gallery: ComposedGallery) -> None:
        tenant = deployment.tenants.by_name(tenant_id)
        await gallery.upkeep.load()
        deployment.database.write_now(lambda c: ReindexRepository(tenant.id).ask(c, PackId("fake-2"), now=0))
        while (
            row := deployment.database.read_now(ReindexRepository(tenant.id).find)
        ) and row.state is not ReindexState.READY:
            await gallery.reindexer.job(row, tenant).step()
        assert row
        assert row.report
        assert row.report["compared"] == 2
        found = [(await gallery.service.search(tenant, picture(person))).entry_id for person in range(3)]
        assert found == ids

    tenant_id, ids = enrolled(tmp_path)
    with composed(tmp_path) as (deployment, gallery):
        damage(deployment, deployment.tenants.by_name(tenant_id), ids[1], flipped)
        asyncio.run(main(deployment, gallery))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, repository, verification):
        monkeypatch.setattr(module, "BLOCK_SPAN", 4)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 2)


def test_a_damaged_block_is_made_anew_from_its_rows(tmp_path: Path, small_blocks: None) -> None:
    tenant_id, ids = enrolled(tmp_path, people=5)
    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.by_name(tenant_id)
        sizes = {PACK: gallery.galleries.new_index(PACK).dimension}
        seal = lambda c: seal_span(c, tenant, sizes, 0)  # noqa: E731
        assert deployment.database.write_now(seal)
        block = deployment.database.read_now(lambda c: GalleryRepository(tenant_id).block(c, PACK, 0))
        assert block
        deployment.database.write_now(lambda c: c.execute(update(gallery_blocks).values(sealed_block=block[:-1])))
        asyncio.run(gallery.upkeep.load())
        loaded = gallery.galleries.gallery(tenant_id)
        assert (len(loaded.snapshot.index), loaded.unreadable, loaded.unblocked_spans) == (5, set(), frozenset({0, 1}))
        assert deployment.database.write_now(seal)
        assert deployment.database.read_now(lambda c: GalleryRepository(tenant_id).block(c, PACK, 0)) != block[:-1]
    assert answers(tmp_path, tenant_id, 5) == [*ids, 0]


def test_a_damaged_template_is_made_anew_from_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    tenant_id, ids = enrolled(tmp_path, people=5)
    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.by_name(tenant_id)
        sizes = {PACK: gallery.galleries.new_index(PACK).dimension}
        assert deployment.database.write_now(lambda c: seal_span(c, tenant, sizes, 0))
        damage(deployment, tenant, ids[1], flipped)
    assert answers(tmp_path, tenant_id, 5) == [*ids, 0], "the copy serves meanwhile"
    assert ids[1] in verify(tmp_path, monkeypatch)[1]
    assert "1 templates restored from a copy, 0 entries erased" in verify(tmp_path, monkeypatch, "--drop")[1]
    with composed(tmp_path) as (deployment, _):
        deployment.database.write_now(lambda c: c.execute(gallery_blocks.delete()))
    assert answers(tmp_path, tenant_id, 5) == [*ids, 0]


def test_a_photo_that_is_damaged_or_gone_is_named_and_its_entry_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id, ids = enrolled(tmp_path)
    with composed(tmp_path) as (deployment, _):
        rows = deployment.database.read_now(lambda c: GalleryRepository(tenant_id).page(c, after_key=0, limit=9))
    photos = [tmp_path / "images" / tenant_id / str(row.image_id) for row in rows]
    photos[0].unlink()
    photos[1].write_bytes(photos[1].read_bytes()[:-1])
    assert ids[1] not in verify(tmp_path, monkeypatch)[1]
    code, printed = verify(tmp_path, monkeypatch, "--whole-photos", "--tenant", "acme")
    assert code == 1
    assert f"entry {ids[0]}: its photo is missing" in printed
    assert f"entry {ids[1]}: its photo does not open" in printed
    assert verify(tmp_path, monkeypatch, "--whole-photos", "--drop")[0] == 0
    assert verify(tmp_path, monkeypatch, "--whole-photos")[0] == 0
    assert answers(tmp_path, tenant_id, 3) == [*ids, 0]
    assert [path.exists() for path in photos] == [False, False, True]


def test_a_tenant_whose_settings_are_damaged_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tenant_id, ids = enrolled(tmp_path)
    with composed(tmp_path) as (deployment, _):
        other = deployment.tenants.create("other")
    with closing(sqlite3.connect(tmp_path / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE tenants SET settings = '{\"search_level\": 9' WHERE id = ?", [other.id])
        connection.commit()
    assert answers(tmp_path, tenant_id, 3) == [*ids, 0]
    assert f"tenant {other.id} is not served" in caplog.text
    code, printed = verify(tmp_path, monkeypatch)
    assert (code, other.id in printed) == (1, True)
    listed = CliRunner().invoke(app, ["tenant", "list"], catch_exceptions=False).stdout
    assert "damaged" in listed
    CliRunner().invoke(app, ["tenant", "set", "other", "--search-level", "3"], catch_exceptions=False)
    assert verify(tmp_path, monkeypatch)[0] == 0


def test_a_tenant_whose_photos_cannot_be_listed_holds_up_no_other_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = ImageStore.ids, []

    async def refusing(images: ImageStore, tenant_id: str) -> Any:
        if tenant_id in refused:
            raise ServiceUnavailable("down")
        async for batch in real(images, tenant_id):
            yield batch

    async def main(deployment: Deployment, gallery: ComposedGallery) -> None:
        tenants = deployment.tenants.all()
        refused.append(tenants[0].id)
        monkeypatch.setattr(ImageStore, "ids", refusing)
        findings = await gallery.upkeep._sweep.run(tenants)
        assert (findings.failed, findings.moved) == ({tenants[0].id}, 1)
        refused.clear()
        assert not (await gallery.upkeep._sweep.run(tenants[:1])).failed

    with composed(tmp_path) as (deployment, gallery):
        for name in ("first", "second"):
            tenant = deployment.tenants.create(name)
        asyncio.run(ImageStore(f"file://{tmp_path / 'images'}").put(tenant.id, "stray", b"photo", tenant.cipher))
        asyncio.run(main(deployment, gallery))
