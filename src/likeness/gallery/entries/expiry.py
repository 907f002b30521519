"""The end of entries whose time is over: they are erased as by a call, unless they are under a legal hold."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, select, tuple_

from likeness.errors import LikenessError
from likeness.kit.clock import Clock
from likeness.kit.repeating import repeat_forever
from likeness.store.database import Database
from likeness.store.tables import gallery_entries
from likeness.tenants.service import Tenant, Tenants

log = logging.getLogger("likeness.gallery")
LOOK_SECONDS = 60.0
ERASED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Overdue:
    """An entry whose time seems to be over. Its row may be altered."""

    expires_at: float
    id: str
    tenant_id: str


def overdue_entries(connection: Connection, *, now: float, after: Overdue | None, limit: int) -> Sequence[Overdue]:
    """Give entries of all tenants whose time is over and that nobody holds, those first that were due first.

    ``after`` is the last one of the previous page.
    """
    place = gallery_entries.c.expires_at, gallery_entries.c.id
    due = gallery_entries.c.expires_at <= now, gallery_entries.c.legal_hold.is_(None)
    query = select(*place, gallery_entries.c.tenant_id).where(*due).order_by(*place).limit(limit)
    if after is not None:
        query = query.where(tuple_(*place) > (after.expires_at, after.id))
    return [Overdue(*row) for row in connection.execute(query)]


class EraseExpired(Protocol):
    """Erases an entry of a tenant if its time was over at ``now`` and nobody holds it. Else does nothing."""

    def __call__(self, tenant: Tenant, entry_id: str, *, now: float) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class EntryExpiry:
    """Erases entries whose time is over. Of the servers on a database, one does it at a time."""

    database: Database
    tenants: Tenants
    erase: EraseExpired
    clock: Clock

    async def run(self) -> None:
        """Look every minute, until cancelled."""
        await repeat_forever(self.erase_overdue, pause=LOOK_SECONDS)

    async def erase_overdue(self) -> None:
        """Erase all entries whose time is over. One that cannot be erased now has its turn at the next call."""
        now, last, failed = self.clock.now(), None, 0
        while True:
            page = partial(overdue_entries, now=now, after=last, limit=ERASED_AT_ONCE)
            found = await self.database.read(page)
            if not found:
                break
            last = found[-1]
            outcomes = await asyncio.gather(*(self._erase(each, now) for each in found))
            failed += outcomes.count(False)
        if failed:
            log.warning("%d entries whose time is over could not be erased; trying again in %s s", failed, LOOK_SECONDS)

    async def _erase(self, overdue: Overdue, now: float) -> bool:
        try:
            await self.erase(await self.tenants.get(overdue.tenant_id), overdue.id, now=now)
        except LikenessError:
            return False
        return True
