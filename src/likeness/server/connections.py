"""Who is connected, and who must go when the places run out."""

import logging
import resource
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger("likeness.server")
KEPT_DESCRIPTORS = 128
"""File descriptors for the database, photos and calls of our own."""


class Peer(Protocol):
    """One connection."""

    def drop(self) -> None:
        """Close it at once."""


@dataclass(slots=True)
class Connections:
    """Counts connections and knows which of them keep the server waiting.

    When all places are taken, a newcomer gets the place of the one that has kept the server waiting for longest: so a
    flood of silent connections pushes out itself, and a caller that asks in time is answered.
    """

    limit: int
    descriptors: int
    open: int = 0
    _waiting: dict[Peer, None] = field(default_factory=dict)
    _full: bool = False

    def enter(self, peer: Peer, descriptor: int) -> bool:
        """Take a place, if there is one.

        Descriptors are given lowest first, so a newcomer's tells how many are in use.
        """
        self.open += 1
        if self.open > self.limit or descriptor >= self.descriptors:
            if not self._full:
                self._full = True
                log.warning(
                    "no place is free for another connection (%d open, descriptor %d): "
                    "those that have kept the server waiting for longest are closed",
                    self.open - 1,
                    descriptor,
                )
            if not self._waiting:
                return False
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.drop()
        self.wait_for(peer)
        return True

    def leave(self, peer: Peer) -> None:
        self.open -= 1
        self._waiting.pop(peer, None)
        if self._full and self.open < self.limit * 0.9:
            self._full = False
            log.warning("there are places for connections again (%d open)", self.open)

    def wait_for(self, peer: Peer) -> None:
        """Note that the server waits for bytes of this one from now on."""
        self._waiting.pop(peer, None)
        self._waiting[peer] = None

    def heard(self, peer: Peer) -> None:
        """Note that the server has all it waited for."""
        self._waiting.pop(peer, None)


def make_connections(limit: int) -> Connections:
    """Let the process have as many descriptors as it may, and fit the number of connections to them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limit + 2 * KEPT_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else soft
    usable = max(allowed - KEPT_DESCRIPTORS, allowed // 2)
    if usable < limit:
        log.warning("only %d connections are held at once, not %d: raise the limit of open files", usable, limit)
    return Connections(min(limit, usable), descriptors=usable + (allowed - usable) // 2)
