"""The check of what a backup was restored to: every template and every photo opens."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from sqlalchemy import Connection

from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.maintenance.verification import PHOTO_MISSING, Fault, Verification
from likeness.gallery.photos import EntryPhotos
from likeness.gallery.repository import WHOLE, GalleryRepository
from likeness.gallery.templates.sealing import template_length
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

SAMPLE = 100
"""Templates that show how long the templates of a pack are. So the check needs no model files."""


def faults_in(deployment: Deployment, *, gone: int) -> Iterator[str]:
    """Open everything, and describe each fault. ``gone`` photos may be missing."""
    opened = deployment.tenants.all()
    for tenant_id in {row.id for row in deployment.tenants.rows()} - {each.id for each in opened}:
        yield f"tenant {tenant_id} cannot be opened"
    missing: list[Fault] = []
    with closing(ImageStore(deployment.settings.images_address)) as images:
        for tenant in opened:
            for fault in _faults(deployment, tenant, images):
                if fault.what == PHOTO_MISSING:
                    missing.append(fault)
                else:
                    yield f"entry {fault.entry_id}: {fault}"
    if len(missing) > gone:
        yield from (f"entry {fault.entry_id}: {fault}" for fault in missing)


def _faults(deployment: Deployment, tenant: Tenant, images: ImageStore) -> list[Fault]:
    database = deployment.database

    def size_of(pack: PackIdentity) -> int:
        return database.read_now(partial(_length, tenant=tenant, pack=pack))

    photos = EntryPhotos(images, database)
    verification = Verification(tenant, database, images, photos, size_of)
    stored = asyncio.run(verification.stored_photos(lambda _: None, whole=True))
    return [*verification.templates(lambda _: None), *stored]


def _length(connection: Connection, tenant: Tenant, pack: PackIdentity) -> int:
    some = GalleryRepository(tenant.id).some_templates(connection, pack, WHOLE, limit=SAMPLE)
    _, ids, sealed = zip(*some, strict=True)
    return template_length(tenant, pack, ids, sealed) or 0
