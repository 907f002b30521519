"""The job that replaces data keys: it seals again what older keys of a tenant have sealed, and deletes these keys.

``likeness keys rotate-data`` only adds a key to a tenant's ring. From then on every server seals with it. This job does
the rest, in one server at a time: values in the database, then photos. Each value is replaced only if it is still the
same, so no change of a caller is lost. A value says which key sealed it, so the job needs no record of how far it came.
After a stop it goes on where it was.

Another server may seal with the older key until it has read the new one. So the job waits ``RETIRE_SECONDS`` after a
new key, and deletes the older keys after a pass that finds no value under them.
"""

import asyncio
import logging
from functools import partial

from sqlalchemy import Connection, delete, func, select

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.deployment import Deployment
from likeness.errors import LikenessError, SetupError
from likeness.gallery.maintenance.photo_rows import wanted_images
from likeness.kit.repeating import repeat_forever
from likeness.rotation.sealed_columns import SEALED_COLUMNS, SealedColumn
from likeness.store.images import ImageStore
from likeness.store.tables import data_keys
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.rotation")
RETIRE_SECONDS = 600.0
"""How long a server may go without reading the data keys. Much longer than any server takes (see ``Tenants.all``)."""
LOGGED_EVERY = 50_000


class Resealing:
    """Replaces the data keys of all tenants. One event loop uses it, in the server that holds the lease."""

    def __init__(self, deployment: Deployment, images: ImageStore) -> None:
        self._database = deployment.database
        self._tenants = deployment.tenants
        self._clock = deployment.clock
        self._images = images
        self._passed: dict[str, int] = {}
        """By tenant, the number of the newest key for which one whole pass was made."""

    async def run(self) -> None:
        """Replace keys again and again, until cancelled."""
        await repeat_forever(self.advance)

    async def advance(self) -> None:
        """Seal again what older keys have sealed, and delete the keys whose time has come."""
        tenants = {tenant.id: tenant for tenant in await asyncio.to_thread(self._tenants.all)}
        for tenant_id, newest, since in await self._database.read(_rings):
            tenant, is_over = tenants.get(tenant_id), self._clock.now() >= since + RETIRE_SECONDS
            if tenant is None or (self._passed.get(tenant_id) == newest and not is_over):
                continue
            try:
                replaced = await self._seal_again(tenant)
            except LikenessError as error:
                log.warning("the data key of tenant %s is not replaced yet: %s", tenant_id, error)
                continue
            self._passed[tenant_id] = newest
            if is_over and not replaced:  # a value that was found now may have others behind it, still on their way
                await self._database.write(partial(_end_keys, tenant_id=tenant_id, newest=newest))
                await asyncio.to_thread(self._tenants.all)
                log.warning("the older data keys of tenant %s are deleted: nothing is sealed with them", tenant_id)

    async def _seal_again(self, tenant: Tenant) -> int:
        """Make one pass. Give how many values and photos were under older keys."""
        done = damaged = 0
        for sealed in SEALED_COLUMNS:
            replaced, lost = await self._column(tenant, sealed)
            done, damaged = done + replaced, damaged + lost
        photos, lost = await self._photos(tenant)
        log.warning(
            "tenant %s: %d values and %d photos are sealed with its newest data key, %d do not open",
            *(tenant.id, done, photos, damaged + lost),
        )
        return done + photos

    async def _column(self, tenant: Tenant, sealed: SealedColumn) -> tuple[int, int]:
        """Give how many values of a column were sealed again, and how many do not open."""
        done = damaged = 0
        after: tuple[object, ...] = ()
        keys = len(sealed.column.table.primary_key.columns)
        while True:
            head = tenant.cipher.head
            rows = await self._database.read(partial(sealed.older, tenant_id=tenant.id, head=head, after=after))
            if not rows:
                return done, damaged
            changes = await asyncio.to_thread(lambda rows=rows: list(sealed.sealed_again(tenant.cipher, rows)))  # type: ignore[misc]
            await self._database.write(partial(sealed.replace, changes=changes), gallery_of=tenant.id)
            after = tuple(rows[-1][:keys])
            if (done + len(changes)) // LOGGED_EVERY > done // LOGGED_EVERY:
                log.warning("tenant %s: %d values of %s sealed again", tenant.id, done, sealed.column)
            done, damaged = done + len(changes), damaged + len(rows) - len(changes)

    async def _photos(self, tenant: Tenant) -> tuple[int, int]:
        """Give how many photos were sealed again, and how many do not open."""
        done = damaged = 0
        async for batch in self._images.ids(tenant.id):
            for image_id in batch:
                try:
                    if not await self._images.seal_again(tenant.id, image_id, tenant.cipher):
                        continue
                except SetupError:
                    damaged += 1
                    continue
                done += 1
                # Its entry may have been erased between the reading and the writing.
                if not await self._database.read(partial(wanted_images, image_ids=[image_id])):
                    await self._images.set_aside(tenant.id, image_id)
        async for aside in self._images.aside(tenant.id):
            for image_id, _ in aside:
                try:
                    done += await self._images.seal_again(tenant.id, image_id, tenant.cipher, aside=True)
                except SetupError:
                    damaged += 1
        return done, damaged


def _rings(connection: Connection) -> list[tuple[str, int, float]]:
    """Give the tenants with several data keys: id, number of the newest key, and the time at which it was made."""
    newest, since = func.max(data_keys.c.number), func.max(data_keys.c.created_at)
    query = select(data_keys.c.tenant_id, newest, since).group_by(data_keys.c.tenant_id).having(func.count() > 1)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _end_keys(connection: Connection, *, tenant_id: str, newest: int) -> None:
    older = (data_keys.c.tenant_id == tenant_id) & (data_keys.c.number < newest)
    for number in connection.execute(delete(data_keys).where(older).returning(data_keys.c.number)).scalars().all():
        note(connection, Action.KEY_END, f"data key {number}", tenant=tenant_id)
