"""The galleries in memory that refuse their calls, and the reasons.

The writer's thread, the event loop and loading threads share this.
"""

import threading
from collections.abc import Set as AbstractSet
from typing import Final

RELOADING: Final = "The gallery is being loaded again; try again shortly."


class Refusals:
    """The reasons by tenant id. A stale gallery is loaded again. Any other waits for a start with its packs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}
        self._stale: set[str] = set()

    def reason(self, tenant_id: str) -> str | None:
        """Give the reason why a gallery refuses its calls, or None."""
        with self._lock:
            return self._reasons.get(tenant_id)

    def refuse(self, tenant_id: str, reason: str) -> None:
        """Refuse the calls of a gallery that cannot be loaded."""
        with self._lock:
            self._reasons[tenant_id] = reason

    def mark_stale(self, tenant_id: str) -> None:
        """Refuse a gallery's calls until it is loaded again."""
        with self._lock:
            self._reasons[tenant_id] = RELOADING
            self._stale.add(tenant_id)

    def loading(self, tenant_id: str) -> None:
        """Note that the loading of a gallery begins. If it becomes stale after this, it is loaded once more."""
        with self._lock:
            self._stale.discard(tenant_id)

    def loading_failed(self, tenant_id: str) -> None:
        """Let a gallery be loaded once more."""
        with self._lock:
            self._stale.add(tenant_id)

    def lift(self, tenant_id: str) -> None:
        """Serve a gallery that was loaded, unless it became stale meanwhile."""
        with self._lock:
            if tenant_id not in self._stale:
                self._reasons.pop(tenant_id, None)

    @property
    def stale(self) -> AbstractSet[str]:
        """The ids of the tenants whose galleries must be loaded again."""
        with self._lock:
            return frozenset(self._stale)

    @property
    def count(self) -> int:
        """Number of galleries that refuse their calls."""
        with self._lock:
            return len(self._reasons)

    @property
    def reloading(self) -> bool:
        """Whether a gallery refuses its calls until it is loaded again."""
        with self._lock:
            return RELOADING in self._reasons.values()
