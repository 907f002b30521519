"""Work that is done again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("likeness")
REPEAT_SECONDS = 15.0


async def repeat_forever(work: Callable[[], Awaitable[object]], *, pause: float = REPEAT_SECONDS) -> None:
    """Call a function, and again some seconds after each call, until cancelled. After a fault, log it and try again."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("sweeping failed; trying again in %s s", pause)
        await asyncio.sleep(pause)
