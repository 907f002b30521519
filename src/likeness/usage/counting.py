"""Counts what a tenant's calls and sessions come to, in memory, and adds it to the database every few seconds.

So no call waits for its count. A crash loses the counts of the last seconds. Several servers on one PostgreSQL add to
the same rows.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from likeness.errors import LikenessError
from likeness.kit.clock import Clock
from likeness.store.database import Database
from likeness.usage import repository
from likeness.usage.repository import Amount, UsageKey

log = logging.getLogger("likeness.usage")
HOUR_SECONDS = 3600
FLUSH_SECONDS = 5.0
MOST_KEYS = 20_000
"""Counts of different things between two writes. Further things are left out; there are fewer in practice."""
KEPT_HOURS = 90 * 24


class UsageKind(StrEnum):
    """What is counted. The words are stored."""

    CALL = "call"
    """A call, by its method and route, with its time."""
    REFUSAL = "refusal"
    """A refused call, by the code of the error."""
    LEVEL = "level"
    """A comparison of two photos, by the level that it reaches, 0..5."""
    SEARCH = "search"
    """A search of the gallery: ``found`` or ``not found``."""
    SESSION = "session"
    """A face session: ``opened``, or the state in which it ended."""
    STEP = "step"
    """A session that ended without success, by the last step that the person reached."""


@dataclass(slots=True)
class _Sum:
    count: int = 0
    seconds: float = 0.0


class Usage:
    """The usage of all tenants. ``note`` may be called on any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sums: defaultdict[UsageKey, _Sum] = defaultdict(_Sum)
        self._lock = threading.Lock()
        """Guards the sums that are not written yet."""
        self._trimmed_hour = 0

    def note(self, tenant_id: str, kind: UsageKind, name: str, *, seconds: float = 0.0) -> None:
        """Count one thing. It costs the caller some microseconds."""
        key = UsageKey(tenant_id, int(self._clock.now() // HOUR_SECONDS), kind, name)
        with self._lock:
            if len(self._sums) < MOST_KEYS or key in self._sums:
                found = self._sums[key]
                found.count += 1
                found.seconds += seconds

    def note_call(self, state: Mapping[str, Any], call: str, seconds: float) -> None:
        """Count an authorised call, its refusal and its outcome. ``state`` is the request's."""
        tenant = state.get("tenant")
        if tenant is None:
            return
        if "/api/" in call:  # pages of the console are no calls
            self.note(tenant, UsageKind.CALL, call, seconds=seconds)
        if error := state.get("error"):
            self.note(tenant, UsageKind.REFUSAL, error)
        if outcome := state.get("outcome"):
            self.note(tenant, *outcome)

    async def keep(self) -> None:
        """Write the counts every few seconds, until cancelled. What the database refuses waits for the next time."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except LikenessError as error:
                log.warning("the usage could not be written, and is tried again: %s", error)
            except Exception:
                log.exception("the usage could not be written, and is tried again")

    async def stop(self) -> None:
        """Write the last counts. What the database refuses now is lost."""
        with suppress(LikenessError):
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted. Raises ServiceUnavailable, and the database's errors; then keeps the counts."""
        with self._lock:
            taken, self._sums = self._sums, defaultdict(_Sum)
        hour = int(self._clock.now() // HOUR_SECONDS)
        rows = {key: Amount(each.count, each.seconds) for key, each in taken.items()}
        try:
            if rows:
                await self._database.write(lambda c: repository.add_usage(c, rows))
        except Exception:  # also when another server erases a tenant just then
            with self._lock:
                for key, each in taken.items():
                    found = self._sums[key]
                    found.count += each.count
                    found.seconds += each.seconds
            raise
        if hour != self._trimmed_hour:
            await self._database.write(lambda c: repository.remove_usage(c, before=hour - KEPT_HOURS))
            self._trimmed_hour = hour

    async def of_tenant(self, tenant_id: str, *, hours: int) -> list[tuple[UsageKey, Amount]]:
        """Give a tenant's counts of the last hours, the present one included, the oldest first."""
        await self.flush()
        since = int(self._clock.now() // HOUR_SECONDS) - hours + 1
        return await self._database.read(lambda c: repository.usage_of(c, tenant_id, since=since))
