"""The time in a simulated scene, which the server's liveness check goes by.

It goes on by one frame interval with every frame. So a slow machine sees the same session as a fast one, only later.
"""

import random
import threading
import time
from dataclasses import dataclass, field

from likeness.evaluation.liveness.injection_suite.scene import FRAME_SECONDS


@dataclass
class SceneClock:
    """A :class:`likeness.evaluation.liveness.injection_suite.scene.SuiteClock`."""

    seconds: float = 1000.0
    jitter: float = 0.04
    """Largest difference of an interval from :data:`FRAME_SECONDS`, as a fraction of it."""
    runs: bool = False
    """Whether the real time passes, too: for attacks that have no scene."""
    is_real: bool = False
    _chance: random.Random = field(default_factory=lambda: random.Random(1))
    _looked_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        # Two moments are never the same, whatever happens between two frames.
        with self._lock:
            now = time.monotonic()
            self.seconds += now - self._looked_at if self.runs else 1e-6
            self._looked_at = now
            return self.seconds

    def go_on(self) -> float:
        with self._lock:
            self.seconds += FRAME_SECONDS * (1 + self._chance.uniform(-self.jitter, self.jitter))
            return self.seconds
