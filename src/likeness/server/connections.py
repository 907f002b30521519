"""The open connections, and the choice of those to close when no place is free."""

import logging
import resource
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger("likeness.server")
KEPT_DESCRIPTORS = 128
"""File descriptors for the database, photos and outgoing calls."""


class Peer(Protocol):
    """One connection."""

    def drop(self) -> None:
        """Close the connection at once."""


@dataclass(slots=True)
class Connections:
    """Counts connections, and notes which of them keep the server waiting.

    When no place is free, a new connection gets the place of the one that has kept the server waiting longest. So a
    flood of silent connections closes itself, and a caller that sends in time is answered.
    """

    limit: int
    descriptors: int
    open: int = 0
    _waiting: dict[Peer, None] = field(default_factory=dict)
    _full: bool = False

    def enter(self, peer: Peer, descriptor: int) -> bool:
        """Take a place. Give False if there is none.

        The system gives the lowest free descriptor. So the descriptor of a new connection shows how many are in use.
        """
        self.open += 1
        if self.open > self.limit or descriptor >= self.descriptors:
            if not self._full:
                self._full = True
                log.warning(
                    "no place is free for another connection (%d open, descriptor %d): "
                    "the server closes those that have kept it waiting longest",
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
        """Note that the server now waits for bytes of this peer."""
        self._waiting.pop(peer, None)
        self._waiting[peer] = None

    def heard(self, peer: Peer) -> None:
        """Note that the server no longer waits for this peer."""
        self._waiting.pop(peer, None)


def make_connections(limit: int) -> Connections:
    """Raise the process's limit of descriptors if needed and allowed, and fit the number of connections to it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limit + 2 * KEPT_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else soft
    usable = max(allowed - KEPT_DESCRIPTORS, allowed // 2)
    if usable < limit:
        log.warning("only %d connections can be open at once, not %d: raise the limit of open files", usable, limit)
    return Connections(min(limit, usable), descriptors=usable + (allowed - usable) // 2)
