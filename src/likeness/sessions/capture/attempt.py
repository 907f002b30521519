"""An attempt under way: whose it is, its liveness check, and its slot on this server."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from likeness.liveness.base import LivenessCheck


@dataclass(slots=True, eq=False)
class Attempt:
    """One try of a person. It holds a slot of the server until it is closed."""

    device: str
    """The key of the device that began it; only that device may come back to it."""
    give_back_slot: Callable[[], None]
    check: LivenessCheck | None = None
    """None while the attempt is written down, before it begins."""
    absence: object | None = None
    """Stands for the time that the device has been away; another for each time."""

    def belongs_to(self, device: str) -> bool:
        """Whether this is the device that began it; takes the same time for every wrong key."""
        return secrets.compare_digest(device, self.device)

    def leave(self) -> object:
        """Note that the device is away; gives what stands for this absence."""
        self.absence = object()
        return self.absence

    def close(self) -> None:
        """Give the slot back."""
        self.give_back_slot()
