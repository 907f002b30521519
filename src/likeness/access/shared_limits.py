"""The limits on calls in a minute, kept by several servers together in their PostgreSQL database.

Each server counts calls in memory, and delays none. It tells the database what its owners spent, within a second and
after each tenth of a limit, and hears what is left to them. So what they spend beyond a limit at several servers at
once is little, and they have the less afterwards. While the database does not answer, each server counts for itself.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, delete, text
from sqlalchemy.exc import DBAPIError

from likeness.store.database import Database
from likeness.store.engines import make_engine
from likeness.store.tables import call_limits
from likeness.web.quota import MINUTE_SECONDS, Limits, Quota

log = logging.getLogger("likeness.access")
EXCHANGE_SECONDS = 1.0
FORGET_SECONDS = 600.0
_HURRIES = "likeness_hurries"
_SPEND: Final = text("""
    INSERT INTO call_limits AS known (name, owner, remaining, noted_at)
    SELECT :name, owner, :most - calls, extract(epoch FROM clock_timestamp())
    FROM unnest(CAST(:owners AS text[]), CAST(:calls AS float8[])) AS spent (owner, calls) ORDER BY owner
    ON CONFLICT (name, owner) DO UPDATE SET
        remaining = greatest(
            -:most,
            least(:most, known.remaining + greatest(0, excluded.noted_at - known.noted_at) * :most / :seconds)
                + excluded.remaining - :most
        ),
        noted_at = greatest(known.noted_at, excluded.noted_at)
    RETURNING owner, remaining
""")
"""The database's clock fills the buckets. Nobody owes more than a minute's calls. One order avoids deadlocks."""


class SharedLimits:
    """Exchanges with other servers what clients and tenants spend. One event loop uses it."""

    def __init__(self, limits: Limits, url: str) -> None:
        self._quotas = [quota for quota in (limits.client, limits.tenant) if quota.per_minute]
        self._engine = make_engine(url, pool_size=1, read_only=False)
        self._spent, self._urgent = asyncio.Event(), asyncio.Event()
        self._forgot_at = time.monotonic()
        for quota in self._quotas:
            quota.share(self._note)

    async def follow(self) -> None:
        """Exchange while there are calls, until cancelled. After a fault of the database, try again."""
        try:
            self._spent.set()  # the first exchange connects
            while True:
                await self._spent.wait()
                self._spent.clear()
                self._urgent.clear()
                await self.exchange()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), EXCHANGE_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        self._engine.dispose()

    async def exchange(self) -> None:
        """Tell what was spent since the last time, and take up what is left."""
        spent = [(quota, quota.take_spent()) for quota in self._quotas]
        telling = asyncio.create_task(asyncio.to_thread(self._spend, spent))
        try:
            left = await asyncio.shield(telling)
        except asyncio.CancelledError:
            await asyncio.gather(telling, return_exceptions=True)  # its connection must be back before ``close``
            raise
        except DBAPIError:
            for quota, calls in spent:
                quota.put_back(calls)
            self._spent.set()
            log.warning("other servers do not hear of this server's calls now, nor it of theirs; trying again")
        else:
            for quota, of_owners in left:
                quota.set_left(of_owners)

    def _note(self, urgent: bool) -> None:  # noqa: FBT001  the only argument of a callback
        self._spent.set()
        if urgent:
            self._urgent.set()

    def _spend(self, spent: Sequence[tuple[Quota, Mapping[str, int]]]) -> list[tuple[Quota, dict[str, float]]]:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.info.get(_HURRIES):
                # After a crash of the database, some calls are forgotten. Nobody waits for its disk.
                connection.execute(text("SET synchronous_commit = off"))
                connection.info[_HURRIES] = True
            left = [(quota, _spend(connection, quota, calls)) for quota, calls in spent if calls]
            if time.monotonic() >= self._forgot_at + FORGET_SECONDS:
                self._forgot_at = time.monotonic()
                full = text("noted_at < extract(epoch FROM clock_timestamp()) - :seconds")
                connection.execute(delete(call_limits).where(full.bindparams(seconds=2 * MINUTE_SECONDS)))
        return left


def _spend(connection: Connection, quota: Quota, calls: Mapping[str, int]) -> dict[str, float]:
    """Take calls off what is left to each owner. Give what is left."""
    values = {"name": quota.name, "most": float(quota.per_minute), "seconds": MINUTE_SECONDS}
    values |= {"owners": list(calls), "calls": [float(each) for each in calls.values()]}
    return {row.owner: row.remaining for row in connection.execute(_SPEND, values)}


async def share_limits(limits: Limits, database: Database) -> None:
    """Keep limits together with other servers, until cancelled. SQLite has no other servers."""
    if not database.is_sqlite:
        await SharedLimits(limits, database.url).follow()
