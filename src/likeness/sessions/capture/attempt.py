"""An attempt in progress: its device, its liveness check, and its slot on this server."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from likeness.kit.ids import new_id
from likeness.liveness.base import LivenessCheck


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt of a person. It holds a slot of the server until it is closed."""

    device: str
    """The key of the device that began the attempt. Only that device may return to it."""
    give_back_slot: Callable[[], None]
    check: LivenessCheck | None = None
    """None while the attempt is being stored, before it begins."""
    id: str = field(default_factory=new_id)
    """Names it in the database."""
    absence: object | None = None
    """Identifies the present absence of the device. Each absence has a new object."""

    def belongs_to(self, device: str) -> bool:
        """Whether this device began the attempt. The time does not depend on a wrong key."""
        return secrets.compare_digest(device, self.device)

    def leave(self) -> object:
        """Note that the device is away. Give the object that identifies this absence."""
        self.absence = object()
        return self.absence

    def close(self) -> None:
        """Give the slot back."""
        self.give_back_slot()
