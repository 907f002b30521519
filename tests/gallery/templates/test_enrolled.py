"""The template of one entry, as a 1:1 comparison with it takes it."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, update

from composition import composed, picture
from likeness.deployment import Deployment
from likeness.engine.base import Use
from likeness.engine.policy import FacePolicy
from likeness.errors import NotFound
from likeness.gallery.composition import ComposedGallery
from likeness.kit.ids import new_id
from likeness.store.tables import gallery_entries, gallery_templates
from likeness.tenants.service import Tenant

Change = Callable[[Connection], object]


def with_person(
    folder: Path,
    act: Callable[[ComposedGallery, Tenant, str], Coroutine[Any, Any, None]],
    *,
    change: Change | None = None,
) -> None:
    """Enrol a person, change the database behind Likeness's back, and act on the entry."""

    async def run(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        await gallery.upkeep.load()
        entry_id = await gallery.service.insert(tenant, picture(1))
        if change:
            await deployment.database.write(change)
        await act(gallery, tenant, entry_id)

    with composed(folder) as (deployment, gallery):
        asyncio.run(run(deployment, gallery, deployment.tenants.create("acme")))


def test_the_template_is_that_of_the_photo(tmp_path: Path) -> None:
    async def read(gallery: ComposedGallery, tenant: Tenant, entry_id: str) -> None:
        workers, template = await gallery.enrolled.of(tenant, entry_id)
        face = await workers.analyse(picture(1), use=Use.PROBE, policy=FacePolicy.LARGEST)
        np.testing.assert_array_equal(template, face.template)
        await gallery.service.delete_image(tenant, entry_id)
        _, kept = await gallery.enrolled.of(tenant, entry_id)
        np.testing.assert_array_equal(kept, template)

    with_person(tmp_path, read)


def test_an_entry_that_is_unknown_or_erased_has_none(tmp_path: Path) -> None:
    async def read(gallery: ComposedGallery, tenant: Tenant, entry_id: str) -> None:
        with pytest.raises(NotFound):
            await gallery.enrolled.of(tenant, new_id())
        await gallery.service.erase(tenant, entry_id)
        with pytest.raises(NotFound):
            await gallery.enrolled.of(tenant, entry_id)

    with_person(tmp_path, read)


DAMAGES: dict[str, Change] = {
    "the row was altered": lambda c: c.execute(update(gallery_entries).values(external_id="somebody else")),
    "the template does not open": lambda c: c.execute(update(gallery_templates).values(sealed_template=b"nothing")),
    "there is no template": lambda c: c.execute(gallery_templates.delete()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_search_would_not_find_is_not_compared(tmp_path: Path, damage: str) -> None:
    async def read(gallery: ComposedGallery, tenant: Tenant, entry_id: str) -> None:
        with pytest.raises(NotFound):
            await gallery.enrolled.of(tenant, entry_id)

    with_person(tmp_path, read, change=DAMAGES[damage])
