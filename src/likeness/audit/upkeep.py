"""A server's background work for the trail. Of the servers on a database, one does it at a time."""

import asyncio
from functools import partial

from likeness.audit.seals import DAY_SECONDS, Seals
from likeness.kit.clock import Clock
from likeness.kit.repeating import repeat_forever

SEAL_SECONDS = 60.0
TRIM_SECONDS = 3600.0


async def keep_sealed(seals: Seals, clock: Clock, days: int) -> None:
    """Seal the trail every minute, and delete what is older than ``days`` (0: nothing), until cancelled."""

    async def trim() -> None:
        if days:
            await asyncio.to_thread(partial(seals.trim, before=clock.now() - days * DAY_SECONDS))

    await asyncio.gather(
        repeat_forever(partial(asyncio.to_thread, seals.seal), pause=SEAL_SECONDS),
        repeat_forever(trim, pause=TRIM_SECONDS),
    )
