"""A gallery fell behind its database, or moved during a call. No person is enrolled twice, lost or locked out."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from composition import composed, entries, picture
from likeness.deployment import initialise, open_deployment
from likeness.engine.packs.identity import PackId
from likeness.errors import Conflict, ServiceUnavailable
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.packs import Packs
from likeness.gallery.reindex.job import Superseded
from likeness.gallery.reindex.repository import ReindexRepository, ReindexRequest, ReindexState
from likeness.gallery.repository import GalleryRepository
from likeness.store.images import ImageStore
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant
from servers import test_settings, wait_until


class Held:
    """Makes the first call of an asynchronous method wait for ``go``. Later calls do not wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        real = getattr(owner, name)

        async def held(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(owner, name, real)
            self.reached.set()
            await self.go.wait()
            return await real(*arguments, **named)

        monkeypatch.setattr(owner, name, held)


def test_a_reload_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_rows: GalleryRepository, _connection: Connection) -> None:
        raise OperationalError("SELECT", None, Exception("connection lost"))

    async def main() -> None:
        await gallery.upkeep.load()
        entry = await gallery.service.insert(tenant, picture(1))
        gallery.galleries.mark_stale(tenant.id)
        with monkeypatch.context() as patched:
            patched.setattr(GalleryRepository, "packs", broken)
            with pytest.raises(ServiceUnavailable):
                await gallery.upkeep.catch_up()
        with pytest.raises(ServiceUnavailable, match="loaded again"):
            await gallery.service.search(tenant, picture(1))
        await gallery.upkeep.catch_up()
        assert (await gallery.service.search(tenant, picture(1))).entry_id == entry

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_nobody_is_enrolled_twice_while_a_commit_is_missing_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    async def main() -> None:
        await gallery.upkeep.load()
        await gallery.service.insert(tenant, picture(9))
        held = Held(monkeypatch, ImageStore, "put")
        second = asyncio.create_task(gallery.service.search(tenant, picture(1), enrolment=EnrolmentRequest()))
        await held.reached.wait()  # it has searched and found no entry
        memory = gallery.galleries.gallery(tenant.id)
        with monkeypatch.context() as patched:
            patched.setattr(memory, "add", fails)
            await gallery.service.search(tenant, picture(1), enrolment=EnrolmentRequest())
        held.go.set()
        with pytest.raises(ServiceUnavailable, match="loaded again"):
            await second
        assert entries(deployment, tenant) == 2
        await gallery.upkeep.catch_up()
        assert (await gallery.service.search(tenant, picture(1), enrolment=EnrolmentRequest())).found

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_a_search_that_began_before_a_reload_sees_the_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its snapshot is no longer fed, and still has the entry that is erased later."""

    async def main() -> None:
        await gallery.upkeep.load()
        erased = await gallery.service.insert(tenant, picture(1))
        await gallery.service.insert(tenant, picture(2))
        held = Held(monkeypatch, Packs, "analyse")
        search = asyncio.create_task(gallery.service.search(tenant, picture(1)))
        await held.reached.wait()
        gallery.galleries.mark_stale(tenant.id)
        await gallery.upkeep.catch_up()
        await gallery.service.erase(tenant, erased)
        held.go.set()
        assert not (await search).found
        gallery.galleries.ready(tenant.id)

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_a_sweep_spares_a_photo_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def slow(file: int) -> None:
        time.sleep(0.3)
        fsync(file)

    async def main() -> None:
        await gallery.upkeep.load()
        await gallery.service.insert(tenant, picture(9))
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", slow)
            insert = asyncio.create_task(gallery.service.insert(tenant, picture(1)))
            await asyncio.sleep(0.1)
            findings = await gallery.upkeep._sweep.look([tenant])
            assert not findings.stray_count
            await insert
        assert entries(deployment, tenant) == 2

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_a_slow_image_store_holds_up_no_other_upkeep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(*_: object) -> None:
        raise ServiceUnavailable("down")

    async def never(*_: object) -> None:
        raise AssertionError("the upkeep waits for the image store")

    async def main() -> None:
        await gallery.upkeep.load()
        with monkeypatch.context() as patched:
            patched.setattr(ImageStore, "put", refuses)
            patched.setattr(ImageStore, "delete", refuses)
            with pytest.raises(ServiceUnavailable):
                await gallery.service.insert(tenant, picture(1))
            patched.setattr(ImageStore, "delete", never)
            await gallery.upkeep.tidy()
            assert gallery.service._photos._overdue
            assert gallery.service._photos.due.is_set()
        deleting = asyncio.create_task(gallery.upkeep.delete_photos())
        await asyncio.to_thread(wait_until, lambda: not gallery.service._photos._overdue)
        deleting.cancel()

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


@pytest.mark.parametrize("on_postgres", [False, True])
def test_a_reference_that_was_taken_and_is_free_again_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, on_postgres: bool
) -> None:
    """The conflict's message and its causes do not have the reference."""

    async def main() -> None:
        await gallery.upkeep.load()
        enroller = gallery.service._enroller
        demand, asked = enroller._demand_new, 0

        async def racing(_tenant: Tenant, reference: str | None) -> None:
            nonlocal asked
            asked += 1
            if asked == 1:  # free at the second call's check, taken when it writes, erased when it checks again
                await demand(tenant, reference)
                others.append(await gallery.service.insert(tenant, picture(1), EnrolmentRequest(reference)))
            elif asked == 3:
                await gallery.service.erase(tenant, others[0])
                await demand(tenant, reference)

        monkeypatch.setattr(enroller, "_demand_new", racing)
        with pytest.raises(Conflict, match="try again") as refused:
            await gallery.service.insert(tenant, picture(2), EnrolmentRequest("customer-4711"))
        assert "4711" not in str(refused.value)
        assert refused.value.__suppress_context__

    others: list[str] = []
    settings = {"database_url": request.getfixturevalue("postgres_url")} if on_postgres else {}
    with composed(tmp_path, **settings) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_a_repeat_is_answered_though_its_first_call_filled_the_gallery(tmp_path: Path) -> None:
    async def main() -> None:
        await gallery.upkeep.load()
        request = EnrolmentRequest(idempotency_key="key")
        calls = (gallery.service.insert(tenant, picture(1), request) for _ in range(4))
        assert len(set(await asyncio.gather(*calls))) == 1

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant", TenantSettings(gallery_limit=1))
        asyncio.run(main())


def test_new_galleries_follow_a_cut_over_whose_commit_was_not_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    async def step() -> ReindexState | None:
        row = deployment.database.read_now(ReindexRepository(tenant.id).find)
        assert row
        await gallery.reindexer.job(row, tenant).step()
        moved = deployment.database.read_now(ReindexRepository(tenant.id).find)
        return moved.state if moved else None

    async def main() -> None:
        await gallery.upkeep.load()
        await gallery.service.insert(tenant, picture(1))
        deployment.database.write_now(lambda c: ReindexRepository(tenant.id).ask(c, PackId("fake-2"), now=0))
        while await step() is not ReindexState.READY:
            pass
        deployment.database.write_now(
            lambda c: ReindexRepository(tenant.id).change(c, now=0, wish=ReindexRequest.CUT_OVER)
        )
        dialect: Any = deployment.database._writer.engine.dialect
        commit = dialect.do_commit

        def commits_and_is_lost(connection: Any) -> None:
            commit(connection)
            monkeypatch.undo()
            raise dialect.loaded_dbapi.OperationalError("the server closed the connection")

        monkeypatch.setattr(dialect, "do_commit", commits_and_is_lost)
        with pytest.raises(ServiceUnavailable, match="Check whether the change was made"):
            await step()
        await gallery.upkeep.catch_up()
        galleries = gallery.galleries
        assert galleries.ready(tenant.id).snapshot.pack == galleries.gallery(other.id).snapshot.pack == "fake-2@1"

    with composed(tmp_path, database_url=postgres_url) as (deployment, gallery):
        deployment.database.claim()
        tenant, other = deployment.tenants.create("tenant"), deployment.tenants.create("other")
        asyncio.run(main())


def test_a_wish_that_was_changed_is_not_fulfilled(tmp_path: Path) -> None:
    def wish(what: ReindexRequest) -> None:
        deployment.database.write_now(lambda c: ReindexRepository(tenant.id).change(c, now=0, wish=what))

    def row() -> Any:
        return deployment.database.read_now(ReindexRepository(tenant.id).find)

    async def main() -> None:
        await gallery.upkeep.load()
        await gallery.service.insert(tenant, picture(1))
        deployment.database.write_now(lambda c: ReindexRepository(tenant.id).ask(c, PackId("fake-2"), now=0))
        while row().state is not ReindexState.READY:
            await gallery.reindexer.job(row(), tenant).step()
        wish(ReindexRequest.CUT_OVER)
        seen = row()
        wish(ReindexRequest.ABANDON)
        with pytest.raises(Superseded):
            await gallery.reindexer.job(seen, tenant).step()
        assert (row().state, row().wish) == (ReindexState.READY, ReindexRequest.ABANDON)
        assert not await gallery.reindexer._advance(seen)
        assert row().error is None

    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(main())


def test_what_is_queued_is_written_before_another_may_own_the_gallery(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    first, second = open_deployment(settings), open_deployment(settings)

    async def abandoned() -> None:
        write = asyncio.create_task(first.database.write(lambda _: time.sleep(0.3)))
        await asyncio.sleep(0.1)
        later = asyncio.create_task(first.database.write(add))
        await asyncio.sleep(0)
        write.cancel()
        later.cancel()

    def add(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO deployment (name, value) VALUES ('late', '1')")

    with first.owned():
        asyncio.run(abandoned())
    with second.owned():
        query = "SELECT count(*) FROM deployment WHERE name = 'late'"
        assert second.database.read_now(lambda c: c.exec_driver_sql(query).scalar_one()) == 1
