"""Jobs that only one of the processes on a database may do. Each runs while this process holds its lease.

SQLite's database belongs to one process, which holds every lease always.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial

from sqlalchemy.exc import IntegrityError

from likeness.errors import ServiceUnavailable
from likeness.store.database import Database
from likeness.store.sharing import leases
from likeness.store.sharing.leases import HELD, Lease, is_free, release_lease, renew_lease, take_lease

log = logging.getLogger("likeness.store")
TAKE_SECONDS = 2.0
"""Time between two looks at a lease that another process holds."""
RENEW_SECONDS = 3.0
STOP_SECONDS = 2.0
"""How long before its end a lease counts as lost, so that the job has stopped by then."""
RETRY_SECONDS = 0.25


class LeaseHolder:
    """Runs jobs while this process holds their leases. One event loop uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"

    async def while_held(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run a job, which does not end by itself, whenever this process holds its lease. It runs until cancelled.

        When the lease is lost, the job is cancelled. When the lease is taken again, the job starts again. Each change
        of the database that the job makes demands the lease. Raises what the job raises.
        """
        if self._database.is_sqlite:
            await job()
            return
        while True:
            lease, until = await self._take(name)
            try:
                await self._work(lease, until, job)
            finally:
                with suppress(ServiceUnavailable, TimeoutError):
                    async with asyncio.timeout(STOP_SECONDS):
                        await self._database.write(partial(release_lease, lease=lease))
            log.warning("this server does the work %r no longer: its lease was lost", name)

    async def _take(self, name: str) -> tuple[Lease, float]:
        """Wait for a lease, and take it. Give it with the event loop's time until which it holds at least."""
        while True:
            with suppress(ServiceUnavailable, IntegrityError):  # another process was first
                if await self._database.read(partial(is_free, name=name)):
                    asked = asyncio.get_running_loop().time()
                    lease = await self._database.write(partial(take_lease, name=name, holder=self._name))
                    if lease:
                        return lease, asked + leases.LEASE_SECONDS
            await asyncio.sleep(TAKE_SECONDS)

    async def _work(self, lease: Lease, until: float, job: Callable[[], Awaitable[None]]) -> None:
        """Run a job until its lease cannot be renewed. Raises what the job raises."""

        async def run() -> None:
            await job()

        context = copy_context()
        context.run(HELD.set, lease)
        running = asyncio.create_task(run(), context=context)
        keeping = asyncio.create_task(self._keep(lease, until))
        try:
            await asyncio.wait({running, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, keeping):
                task.cancel()
            await asyncio.wait({running, keeping})
        if not running.cancelled():
            running.result()

    async def _keep(self, lease: Lease, until: float) -> None:
        """Renew a lease, until that is not possible in time."""
        loop = asyncio.get_running_loop()
        pause = RENEW_SECONDS
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout_at(until - STOP_SECONDS):
                    await asyncio.sleep(pause)
                    asked = loop.time()
                    try:
                        if not await self._database.write(partial(renew_lease, lease=lease)):
                            return
                        until, pause = asked + leases.LEASE_SECONDS, RENEW_SECONDS
                    except ServiceUnavailable:
                        pause = RETRY_SECONDS
