"""What an attempt has shown so far; the verdict is made from this alone."""

from dataclasses import dataclass, field

from likeness.engine.base import LiveScores, Template
from likeness.liveness.base import Colour
from likeness.liveness.frame.chart import Chart
from likeness.liveness.signals import parallax
from likeness.liveness.signals.injection import InjectionWatch
from likeness.liveness.signals.light_response import LightSample
from likeness.liveness.signals.parallax import Registration

CHARTS = 4
"""Charts kept of each distance, and so registrations made."""


@dataclass(slots=True)
class Evidence:
    """What one attempt has shown so far, as its signals need it."""

    injection: InjectionWatch
    steps_done: int = 0
    faults: list[str] = field(default_factory=list)
    """What about the challenge was not as a person does it, in plain words."""
    mistakes: int = 0
    """Gestures made to the wrong side."""
    far: list[Chart] = field(default_factory=list)
    near: list[Chart] = field(default_factory=list)
    frame_size: tuple[int, int] = (0, 0)
    registrations: list[Registration] = field(default_factory=list)
    samples: list[LightSample] = field(default_factory=list)
    shown: list[tuple[float, Colour | None]] = field(default_factory=list)
    """Since when the page was told which colour."""
    templates: list[Template] = field(default_factory=list)
    live_scores: list[LiveScores] = field(default_factory=list)
    _registered: int = 0

    def register_next(self) -> bool:
        """Compare the next far chart with the next near one; False when none is left. Spreads the work over frames."""
        index = self._registered
        if index >= min(len(self.far), len(self.near)):
            return False
        self._registered += 1
        registration = parallax.register(self.far[index], self.near[index], self.frame_size)
        if registration is not None:
            self.registrations.append(registration)
        return True
