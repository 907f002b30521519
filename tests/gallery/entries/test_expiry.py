"""Entries whose time is over are erased as by a call. A legal hold keeps them."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from composition import composed, entries, picture
from likeness.deployment import Deployment
from likeness.errors import Conflict, InvalidInput, NotFound
from likeness.gallery.composition import ComposedGallery
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.entries.expiry import ERASED_AT_ONCE
from likeness.kit.clock import MovableClock
from likeness.store.tables import audit_records, gallery_entries
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant

DAY = 86_400.0
Step = Callable[[Deployment, ComposedGallery, Tenant], Coroutine[Any, Any, None]]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def run(tmp_path: Path, clock: MovableClock, request: pytest.FixtureRequest) -> Callable[..., None]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None

    def run_step(step: Step, settings: TenantSettings | None = None) -> None:
        async def main(deployment: Deployment, gallery: ComposedGallery) -> None:
            await gallery.upkeep.load()
            await step(deployment, gallery, deployment.tenants.create("acme", settings))

        with composed(tmp_path, clock, database_url=url) as (deployment, gallery):
            asyncio.run(main(deployment, gallery))

    return run_step


async def outcomes(deployment: Deployment, entry_id: str) -> list[tuple[str, str, str]]:
    columns = audit_records.c.action, audit_records.c.who, audit_records.c.outcome
    query = select(*columns).where(audit_records.c.object == entry_id).order_by(audit_records.c.number)
    return [tuple(row) for row in await deployment.database.read(lambda c: c.execute(query).all())]


def test_an_entry_goes_with_its_photo_when_its_time_is_over(run: Callable[..., None], clock: MovableClock) -> None:
    async def step(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        service, now = gallery.service, clock.now()
        first = await service.insert(tenant, picture(1), EnrolmentRequest(expires_at=now + 100))
        found = await service.search(tenant, picture(2), enrolment=EnrolmentRequest(expires_at=now + 200))
        assert found.entry_id
        kept = await service.insert(tenant, picture(3))
        image = (await service.get(tenant, first)).image_id
        assert image
        clock.move(99)
        await gallery.expiry.erase_overdue()
        assert entries(deployment, tenant) == 3
        clock.move(1)
        await gallery.expiry.erase_overdue()
        assert not (await service.search(tenant, picture(1))).found
        assert await gallery.images.get(tenant.id, image, tenant.cipher) is None
        assert await outcomes(deployment, first) == [("enrolment", "server", "done"), ("erasure", "server", "expired")]
        assert (await service.get(tenant, found.entry_id)).expires_at == now + 200
        clock.move(1e9)
        await gallery.expiry.erase_overdue()
        assert [each.id for each in await service.list(tenant, after_key=0, limit=9)] == [kept]
        assert (await service.search(tenant, picture(3))).entry_id == kept

    run(step)


def test_the_tenants_days_and_the_callers_time_end_an_entry_whichever_is_first(
    run: Callable[..., None], clock: MovableClock
) -> None:
    async def step(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        now = clock.now()
        ends = [
            (await gallery.service.get(tenant, await gallery.service.insert(tenant, picture(1), request))).expires_at
            for request in (
                EnrolmentRequest(),
                EnrolmentRequest(expires_at=now + DAY),
                EnrolmentRequest(expires_at=now + 3 * DAY),
            )
        ]
        assert ends == [now + 2 * DAY, now + DAY, now + 2 * DAY]
        with pytest.raises(InvalidInput, match="expiresAt"):
            await gallery.service.insert(tenant, picture(2), EnrolmentRequest(expires_at=now))

    run(step, TenantSettings(entry_days=2))


def test_a_legal_hold_keeps_an_entry_and_its_photo_until_it_ends(run: Callable[..., None], clock: MovableClock) -> None:
    async def step(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        service = gallery.service
        entry = await service.insert(tenant, picture(1), EnrolmentRequest(expires_at=clock.now() + 10))
        assert (await service.hold(tenant, entry, "case-17")).legal_hold == "case-17"
        clock.move(100)
        await gallery.expiry.erase_overdue()
        for deletion in (service.erase, service.delete_image):
            with pytest.raises(Conflict, match=f"{entry} is under a legal hold"):
                await deletion(tenant, entry)
        held = await service.get(tenant, entry)
        assert (held.legal_hold, held.image_id is None) == ("case-17", False)
        assert (await service.search(tenant, picture(1))).entry_id == entry
        assert (await service.hold(tenant, entry, None)).legal_hold is None
        await gallery.expiry.erase_overdue()
        with pytest.raises(NotFound):
            await service.get(tenant, entry)
        with pytest.raises(NotFound):
            await service.hold(tenant, entry, "case-17")
        acts = [act for act, _, _ in await outcomes(deployment, entry)]
        assert acts == ["enrolment", "legal hold", "end of legal hold", "erasure"]

    run(step)


def test_many_go_at_once_and_an_altered_time_ends_nobody(run: Callable[..., None], clock: MovableClock) -> None:
    async def step(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        service = gallery.service
        victim = await service.insert(tenant, picture(1))
        many = EnrolmentRequest(expires_at=clock.now() + 10)
        for person in range(ERASED_AT_ONCE + 2):
            await service.insert(tenant, picture(person), many)
        mine = update(gallery_entries).where(gallery_entries.c.id == victim)
        await deployment.database.write(lambda c: c.execute(mine.values(expires_at=1.0)))
        clock.move(20)
        await gallery.expiry.erase_overdue()
        left = await deployment.database.read(lambda c: c.execute(select(gallery_entries.c.id)).scalars().all())
        assert left == [victim]

    run(step)
