"""The template of one entry, as a 1:1 comparison with it takes it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, update

from composition import composed, picture
from likeness.deployment import Deployment
from likeness.engine.base import Template, Use
from likeness.engine.fake import OtherFakeEngine
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.policy import FacePolicy
from likeness.engine.workers import FaceWorkers
from likeness.errors import NotFound, ServiceUnavailable
from likeness.gallery.composition import ComposedGallery
from likeness.gallery.templates.sealing import seal_template
from likeness.kit.ids import new_id
from likeness.store.tables import gallery_entries, gallery_templates
from likeness.tenants.service import Tenant

Change = Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Person:
    """An enrolled person."""

    deployment: Deployment
    gallery: ComposedGallery
    tenant: Tenant
    entry_id: str

    async def template(self) -> tuple[FaceWorkers, Template]:
        return await self.gallery.enrolled.of(self.tenant, self.entry_id)


def with_person(
    folder: Path, act: Callable[[Person], Coroutine[Any, Any, None]], *, change: Change | None = None
) -> None:
    """Enrol a person, change the database behind Likeness's back, and act on the entry."""

    async def run(deployment: Deployment, gallery: ComposedGallery) -> None:
        tenant = deployment.tenants.create("acme")
        await gallery.upkeep.load()
        entry_id = await gallery.service.insert(tenant, picture(1))
        if change:
            await deployment.database.write(change)
        await act(Person(deployment, gallery, tenant, entry_id))

    with composed(folder) as (deployment, gallery):
        asyncio.run(run(deployment, gallery))


def test_the_template_is_that_of_the_photo(tmp_path: Path) -> None:
    async def read(person: Person) -> None:
        workers, template = await person.template()
        face = await workers.analyse(picture(1), use=Use.PROBE, policy=FacePolicy.LARGEST)
        np.testing.assert_array_equal(template, face.template)
        await person.gallery.service.delete_image(person.tenant, person.entry_id)
        _, kept = await person.template()
        np.testing.assert_array_equal(kept, template)

    with_person(tmp_path, read)


def test_an_entry_that_is_unknown_or_erased_has_none(tmp_path: Path) -> None:
    async def read(person: Person) -> None:
        with pytest.raises(NotFound):
            await person.gallery.enrolled.of(person.tenant, new_id())
        await person.gallery.service.erase(person.tenant, person.entry_id)
        with pytest.raises(NotFound):
            await person.template()

    with_person(tmp_path, read)


DAMAGES: dict[str, Change] = {
    "the row was altered": lambda c: c.execute(update(gallery_entries).values(external_id="somebody else")),
    "the template does not open": lambda c: c.execute(update(gallery_templates).values(sealed_template=b"nothing")),
    "there is no template": lambda c: c.execute(gallery_templates.delete()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_search_would_not_find_is_not_compared(tmp_path: Path, damage: str) -> None:
    async def read(person: Person) -> None:
        with pytest.raises(NotFound):
            await person.template()

    with_person(tmp_path, read, change=DAMAGES[damage])


def test_an_entry_with_a_template_of_an_older_pack_alone_is_compared_by_that_pack(tmp_path: Path) -> None:
    """No search has found out yet that this gallery has such entries."""
    older = PackIdentity("fake-2@1")

    async def read(person: Person) -> None:
        template = OtherFakeEngine().analyse(picture(1), use=Use.PROBE).template
        sealed = seal_template(person.tenant, template, pack=older, entry_id=person.entry_id)
        await replace(person, older, sealed)
        workers, found = await person.template()
        assert workers.engine.pack.identity == older
        np.testing.assert_array_equal(found, template)
        await replace(person, PackIdentity("gone@1"), sealed)
        with pytest.raises(ServiceUnavailable, match="not served"):
            await person.template()

    async def replace(person: Person, pack: PackIdentity, sealed: bytes) -> None:
        change = update(gallery_templates).values(pack=pack, sealed_template=sealed)
        await person.deployment.database.write(lambda c: c.execute(change))

    with_person(tmp_path, read)
