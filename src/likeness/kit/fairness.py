"""Fair shares for the owners of work. A flood from one owner does not take another owner's share."""

import heapq
import itertools
from contextvars import ContextVar
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SERVER: Final = "server"
BACKGROUND: Final = "background"
OWNER: ContextVar[str] = ContextVar("owner", default=SERVER)
"""The owner of the current task's work: a tenant's id, ``SERVER``, or ``BACKGROUND``, for which no caller waits."""

BACKGROUND_COST = 8
MOST_OF_THE_REST = 3


class FairQueue(Generic[T]):
    """Start-time fair queueing (Goyal, Vin and Cheng 1997).

    Owners with waiting work take turns, however much work waits. An owner's items keep their order. If two owners have
    the same turn, the one with less waiting work goes first. So both photos of a small tenant's match go together.
    ``BACKGROUND`` has one turn while another owner has eight.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, str, T]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        """The present turn."""
        self._next: dict[str, float] = {}
        self._waiting: dict[str, int] = {}

    def put(self, owner: str, item: T) -> None:
        turn = max(self._now, self._next.get(owner, 0.0))
        self._next[owner] = turn + (BACKGROUND_COST if owner == BACKGROUND else 1)
        waiting = self._waiting[owner] = self._waiting.get(owner, 0) + 1
        heapq.heappush(self._heap, (turn, waiting, next(self._numbers), owner, item))

    def pop(self) -> T | None:
        """Give the item whose turn it is, or None if none waits."""
        if not self._heap:
            return None
        self._now, _, _, owner, item = heapq.heappop(self._heap)
        self._waiting[owner] -= 1
        if not self._waiting[owner]:
            del self._waiting[owner]
        if not self._heap:
            self._next.clear()
        return item


class Shares:
    """A number of places or bytes that owners take and give back.

    An owner who holds three times the free amount gets no more. So a single owner can have three quarters of all, and a
    new owner still finds a place.
    """

    def __init__(self, total: int) -> None:
        self.total = self.free = total
        self._held: dict[str, int] = {}

    def take(self, owner: str, amount: int = 1) -> bool:
        """Take an amount. Give False if the owner may not have it, or if less is free."""
        held = self._held.get(owner, 0)
        if amount > self.free or held >= MOST_OF_THE_REST * self.free:
            return False
        self._held[owner] = held + amount
        self.free -= amount
        return True

    def give_back(self, owner: str, amount: int = 1) -> None:
        self.free += amount
        held = self._held.pop(owner, 0) - amount
        if held:
            self._held[owner] = held
