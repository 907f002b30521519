"""The limits on calls: how many a client and a tenant make in a minute, and how many of a tenant run at once.

They are in memory. With several servers, ``likeness.access.shared_limits`` tells each what the others let through in a
minute. The calls at once are those of this server.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from likeness.errors import TooManyRequests
from likeness.kit.clock import Clock
from likeness.kit.metrics import Count
from likeness.settings import Settings

MINUTE_SECONDS = 60.0
TRACKED = 10_000
TOLERATED = 0.1
"""The part of a limit that an owner may spend at one server before the others hear of it."""
_refused = Count(
    "likeness_quota_refusals_total",
    "Calls that were refused with 429, by the limit that was used up.",
    {"limit": ("client", "tenant", "calls-at-once", "photo")},
)


def used_up(limit: str, message: str, *, policy: str, wait_seconds: float) -> TooManyRequests:
    """Give the refusal of a call whose limit is used up, and count it.

    ``policy`` says how much the limit allows, as ``RateLimit-Policy`` has it (draft-ietf-httpapi-ratelimit-headers).
    """
    _refused.add(limit)
    wait = max(1, math.ceil(wait_seconds))
    headers = {"RateLimit-Policy": f'"{limit}";q={policy}', "RateLimit": f'"{limit}";r=0;t={wait}'}
    return TooManyRequests(message, retry_after_seconds=wait, headers=headers)


class Quota:
    """A token bucket for each owner: it holds a minute's calls, and fills evenly. A limit of 0 allows all calls."""

    def __init__(self, limit: str, per_minute: int, clock: Clock) -> None:
        """Take the limit's name, ``client`` or ``tenant``."""
        self._limit = limit
        self._per_minute = per_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        """What was left in a bucket, and when. A bucket that is not here is full."""
        self._spent: Counter[str] = Counter()
        self._report: Callable[[bool], None] | None = None

    @property
    def name(self) -> str:
        return self._limit

    @property
    def per_minute(self) -> int:
        return self._per_minute

    def share(self, report: Callable[[bool], None]) -> None:
        """Keep count of what each owner spends, for other servers.

        ``report`` is called after each call that was counted, with whether its owner has spent a good part of the limit
        that no other server knows of.
        """
        self._report = report

    def take_spent(self) -> dict[str, int]:
        """Give the calls of each owner since the last time."""
        spent, self._spent = self._spent, Counter()
        return spent

    def put_back(self, spent: Mapping[str, int]) -> None:
        """Keep what could not be told to other servers for the next time."""
        self._spent.update(spent)

    def set_left(self, left: Mapping[str, float]) -> None:
        """Take up what is left to each owner, by all servers, before what it spends here since. It may be negative."""
        now = self._clock.now()
        self._left |= {owner: (each - self._spent[owner], now) for owner, each in left.items()}

    def take(self, owner: str) -> None:
        """Count one call. Raises TooManyRequests if the owner's bucket is empty."""
        if not self._per_minute:
            return
        now = self._clock.now()
        left = self._left_at(now, owner)
        if left < 1:
            raise used_up(
                self._limit,
                f"At most {self._per_minute} calls of a {self._limit} a minute.",
                policy=f"{self._per_minute};w=60",
                wait_seconds=(1 - left) * MINUTE_SECONDS / self._per_minute,
            )
        if len(self._left) >= TRACKED:
            used = [each for each in self._left if self._left_at(now, each) < self._per_minute]
            self._left = {each: self._left[each] for each in used}
        self._left[owner] = left - 1, now
        if self._report:
            self._spent[owner] += 1
            self._report(self._spent[owner] >= self._per_minute * TOLERATED)

    def _left_at(self, now: float, owner: str) -> float:
        left, noted_at = self._left.get(owner, (self._per_minute, now))
        gained = max(0.0, now - noted_at) * self._per_minute / MINUTE_SECONDS  # the clock may be set back
        return min(float(self._per_minute), left + gained)


class CallsAtOnce:
    """Counts the calls of each tenant that are in progress. Only the event loop's thread may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()

    def enter(self, tenant: str) -> Callable[[], None]:
        """Count a call, and give what ends it. Raises TooManyRequests if the tenant has as many calls as it may."""
        if self._running[tenant] >= self._most:
            message = f"At most {self._most} calls of a tenant at once."
            raise used_up("calls-at-once", message, policy=f'{self._most};qu="concurrent-requests"', wait_seconds=1)
        self._running[tenant] += 1
        return partial(self._leave, tenant)

    def _leave(self, tenant: str) -> None:
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits on calls."""

    client: Quota
    tenant: Quota
    at_once: CallsAtOnce

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "Limits":
        return cls(
            Quota("client", settings.requests_per_minute, clock),
            Quota("tenant", settings.tenant_requests_per_minute, clock),
            CallsAtOnce(settings.tenant_calls),
        )

    def enter(self, tenant: str, client: str) -> Callable[[], None]:
        """Count a call, and give what ends it. Raises TooManyRequests.

        The client's limit comes first: what it does beyond its own takes nothing from the tenant's others.
        """
        self.client.take(client)
        self.tenant.take(tenant)
        return self.at_once.enter(tenant)
