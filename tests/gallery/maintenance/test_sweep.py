"""No photo is deleted only because a database does not name it. The database may be older than the photo."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from composition import composed
from likeness.cli import app
from likeness.deployment import Deployment, open_deployment
from likeness.engine.fake import fake_photo
from likeness.errors import ServiceUnavailable
from likeness.gallery.composition import ComposedGallery
from likeness.gallery.maintenance import sweep, upkeep
from likeness.kit.clock import MovableClock
from likeness.store.generations import Generations
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant
from scraped import counting
from servers import test_settings

DATABASE = "likeness.sqlite3"


@contextmanager
def started(folder: Path, clock: MovableClock | None = None) -> Iterator[tuple[Deployment, ComposedGallery]]:
    """Give a deployment as after a server's start: its galleries are loaded, and its photos are swept."""
    with composed(folder, clock) as (deployment, gallery):
        asyncio.run(gallery.upkeep.load())
        asyncio.run(gallery.upkeep.sweep_photos())
        yield deployment, gallery


def tenant_of(deployment: Deployment) -> Tenant:
    return (deployment.tenants.all() or [deployment.tenants.create("tenant")])[0]


def enrol(deployment: Deployment, gallery: ComposedGallery, people: range) -> None:
    async def main() -> None:
        tenant = tenant_of(deployment)
        photos = (fake_photo(person, size=(160, 120)) for person in people)
        await asyncio.gather(*(gallery.service.insert(tenant, photo) for photo in photos))

    asyncio.run(main())


def stored(folder: Path) -> int:
    """Count the photos that are not in quarantine."""
    images = folder / "images"
    return sum(path.is_file() for path in images.glob("*/*") if path.parent.name != "quarantine")


def aside(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "images" / "quarantine").glob("*/*"))


def readable(deployment: Deployment, gallery: ComposedGallery) -> int:
    """Count the entries whose photo can be read."""

    async def main() -> int:
        tenant = tenant_of(deployment)
        entries = await gallery.service.list(tenant, after_key=0, limit=1000)
        return sum(
            [await gallery.images.get(tenant.id, entry.image_id, tenant.cipher) is not None for entry in entries]  # type: ignore[arg-type]
        )

    return asyncio.run(main())


def back_up(folder: Path, copy: Path) -> None:
    """Copy the database as the documentation says."""
    with closing(sqlite3.connect(folder / DATABASE)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def put_in_place(folder: Path, copy: Path, *, keep_as: Path) -> None:
    shutil.move(folder / DATABASE, keep_as)
    shutil.copy(copy, folder / DATABASE)


@pytest.mark.parametrize("generations", [1, 2])
@pytest.mark.parametrize("copied", ["with its log", "without its log"])
@pytest.mark.parametrize("more", [4, 7])
def test_an_old_database_beside_newer_photos_costs_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generations: int, copied: str, more: int
) -> None:
    """Put an old database in place and start on it twice. Then put the newest one back."""
    monkeypatch.setattr(sweep, "MOST_AT_ONCE", 5)
    old, newest = tmp_path / "old", tmp_path / "newest"
    people = iter((range(3), range(3, 3 + more)))
    with started(tmp_path) as parts:
        enrol(*parts, next(people))
        if copied == "with its log":
            back_up(tmp_path, old)
        else:
            shutil.copy(tmp_path / DATABASE, old)
        if generations == 1:
            enrol(*parts, next(people))
    if generations == 2:
        with started(tmp_path) as parts:
            enrol(*parts, next(people))
    put_in_place(tmp_path, old, keep_as=newest)
    for _ in range(2):
        with started(tmp_path):
            assert stored(tmp_path) + aside(tmp_path) == 3 + more
            assert generations == 1 or not aside(tmp_path)
    put_in_place(tmp_path, newest, keep_as=old)
    with started(tmp_path) as parts:
        assert readable(*parts) == stored(tmp_path) == 3 + more
        assert not aside(tmp_path)


def test_what_a_crash_left_is_deleted_after_its_time_in_quarantine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovableClock()
    with started(tmp_path, clock) as (deployment, gallery):
        tenant = tenant_of(deployment)
        enrol(deployment, gallery, range(2))
        asyncio.run(gallery.images.put(tenant.id, "0" * 24, b"photo", tenant.cipher))
        (tmp_path / "images" / tenant.id / f"{'1' * 24}.part").touch()
    with counting() as risen, started(tmp_path) as parts:
        assert (stored(tmp_path), aside(tmp_path)) == (2, 1)
        assert "1 photos belonged to no entry and are in quarantine now" in caplog.text
        clock.seconds = parts[0].clock.now()
    assert (risen["likeness_swept_photos_total,photos=moved"], risen["likeness_sweeps_total,outcome=done"]) == (1, 1)
    clock.move((sweep.QUARANTINE_DAYS - 1) * sweep.DAY_SECONDS)
    with started(tmp_path, clock) as parts:
        assert aside(tmp_path) == 1
    clock.move(2 * sweep.DAY_SECONDS)
    with counting() as risen, started(tmp_path, clock) as parts:
        assert (stored(tmp_path), aside(tmp_path), readable(*parts)) == (2, 0, 2)
    assert risen["likeness_swept_photos_total,photos=deleted"] == 1
    assert "1 photos that were in quarantine for 30 days were deleted" in caplog.text


def test_more_than_a_crash_leaves_is_touched_after_a_yes_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_AT_ONCE", 5)
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    clock = MovableClock()

    async def leave(images: ImageStore, tenant: Tenant) -> None:
        for number in range(6):
            await images.put(tenant.id, f"{number:024}", b"photo", tenant.cipher)

    with started(tmp_path) as (deployment, gallery):
        enrol(deployment, gallery, range(2))
        asyncio.run(leave(gallery.images, tenant_of(deployment)))
    with counting() as risen, started(tmp_path):
        assert (stored(tmp_path), aside(tmp_path)) == (8, 0)
    assert risen["likeness_swept_photos_total,photos=left"] == 6
    assert "6 photos belong to no entry and are left alone: they are more than 5" in caplog.text
    assert "likeness gallery sweep --yes" in caplog.text
    swept = CliRunner().invoke(app, ["gallery", "sweep"])
    assert "photos of no entry: 6 (nothing is changed without --yes)" in swept.output
    assert aside(tmp_path) == 0
    swept = CliRunner().invoke(app, ["gallery", "sweep", "--yes"])
    assert "photos of no entry: 6 (set aside for 30 days: 6)" in swept.output
    assert (stored(tmp_path), aside(tmp_path)) == (2, 6)
    with started(tmp_path) as (deployment, _):
        clock.seconds = deployment.clock.now() + 40 * sweep.DAY_SECONDS
    caplog.clear()
    with started(tmp_path, clock) as parts:  # like a clock that jumped
        assert (aside(tmp_path), readable(*parts)) == (6, 2)
    assert "6 photos in quarantine are past their time and kept" in caplog.text


def test_a_yes_ends_the_disagreement_with_a_database_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    old = tmp_path / "old"
    with started(tmp_path) as parts:
        enrol(*parts, range(2))
        back_up(tmp_path, old)
    with started(tmp_path) as parts:
        enrol(*parts, range(2, 5))
    put_in_place(tmp_path, old, keep_as=tmp_path / "lost")
    assert "stored with another database" in CliRunner().invoke(app, ["gallery", "sweep"]).output
    CliRunner().invoke(app, ["gallery", "sweep", "--yes"])
    assert (stored(tmp_path), aside(tmp_path)) == (2, 3)
    with started(tmp_path) as (deployment, gallery):
        tenant = tenant_of(deployment)
        asyncio.run(gallery.images.put(tenant.id, "0" * 24, b"photo", tenant.cipher))
    with started(tmp_path):
        assert (stored(tmp_path), aside(tmp_path)) == (2, 4)


def test_a_cloned_database_that_uses_the_same_photos_is_noticed(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    with started(tmp_path) as (deployment, gallery):
        tenant_of(deployment)
        clone.mkdir()
        back_up(tmp_path, clone / DATABASE)
        shutil.copy(tmp_path / "master.key", clone)
        mine = gallery.upkeep._sweep.generations
        assert asyncio.run(mine.begin_next())
        other = open_deployment(test_settings(clone))
        theirs = Generations(gallery.images, other.database)
        assert not asyncio.run(theirs.agree())
        assert not asyncio.run(theirs.begin_next())
        assert asyncio.run(theirs.begin_next(whatever=True))
        assert not asyncio.run(mine.begin_next())
        other.close()


@pytest.mark.parametrize("mark", [b"no JSON", b"[]", b'{"number": "x"}'])
def test_a_mark_that_cannot_be_read_agrees_with_nothing(tmp_path: Path, mark: bytes) -> None:
    with started(tmp_path) as (deployment, gallery):
        asyncio.run(gallery.images.set_mark(mark))
        assert not asyncio.run(Generations(gallery.images, deployment.database).agree())


def test_a_crash_between_database_and_mark_is_no_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(gallery.images, "set_mark", refuse)
            for _ in range(2):
                with pytest.raises(ServiceUnavailable):
                    await generations.begin_next()
                assert await generations.agree()

    async def refuse(_: bytes) -> None:
        raise ServiceUnavailable("not now")

    with started(tmp_path) as (deployment, gallery):
        generations = Generations(gallery.images, deployment.database)
        asyncio.run(main())


def test_photos_are_looked_at_though_the_store_is_down_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "RETRY_SECONDS", 0.01)
    refused: list[str] = []
    move = ImageStore.set_aside

    async def refusing_at_first(self: ImageStore, tenant_id: str, image_id: str) -> None:
        if len(refused) < 2:
            refused.append(image_id)
            raise ServiceUnavailable("not now")
        await move(self, tenant_id, image_id)

    with started(tmp_path) as (deployment, gallery):
        for name in ("first", "second"):
            tenant = deployment.tenants.create(name)
            asyncio.run(gallery.images.put(tenant.id, "0" * 24, b"photo", tenant.cipher))
    monkeypatch.setattr(ImageStore, "set_aside", refusing_at_first)
    with started(tmp_path):
        assert (stored(tmp_path), aside(tmp_path), len(refused)) == (0, 2, 2)
