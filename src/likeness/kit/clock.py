"""The source of the current time, which tests can replace, and the form in which a time is written."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> float:
        """Give seconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> float:
        return time.time()


@dataclass(slots=True)
class MovableClock:
    """A clock that moves only by ``move``. For tests and simulations."""

    seconds: float = 1_700_000_000.0

    def now(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds


def timestamp(seconds: float) -> str:
    """Give a moment as the wire and the exports have it: UTC, ISO 8601, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
