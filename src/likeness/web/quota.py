"""The quota of calls per caller and minute, in memory: one process serves a deployment."""

from likeness.errors import TooManyRequests
from likeness.kit.clock import Clock

WINDOW_SECONDS = 60


class Quota:
    """Counts calls in fixed windows of a minute. A limit of 0 allows all calls."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._window = 0
        self._taken: dict[str, int] = {}

    def take(self, caller: str) -> None:
        """Count one call. Raises TooManyRequests if the caller has none left in this minute."""
        if not self._per_minute:
            return
        now = self._clock.now()
        window = int(now // WINDOW_SECONDS)
        if window != self._window:
            self._window, self._taken = window, {}
        taken = self._taken.get(caller, 0) + 1
        if taken > self._per_minute:
            wait = int(WINDOW_SECONDS - now % WINDOW_SECONDS) + 1
            raise TooManyRequests(f"At most {self._per_minute} calls a minute.", retry_after_seconds=wait)
        self._taken[caller] = taken
