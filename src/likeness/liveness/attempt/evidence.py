"""The evidence of an attempt so far. The verdict follows from it alone."""

from dataclasses import dataclass, field

from likeness.engine.base import LiveScores, Template
from likeness.liveness.base import Colour
from likeness.liveness.frame.chart import Chart
from likeness.liveness.signals import parallax
from likeness.liveness.signals.injection import InjectionWatch
from likeness.liveness.signals.light_response import LightSample
from likeness.liveness.signals.parallax import Registration

CHARTS = 4
"""The number of charts at each distance, and so of registrations."""


@dataclass(slots=True)
class Evidence:
    """The evidence of one attempt so far, in the form that its signals need."""

    injection: InjectionWatch
    steps_done: int = 0
    faults: list[str] = field(default_factory=list)
    """The ways in which the challenge was not done as a person does it, in plain words."""
    mistakes: int = 0
    """The number of gestures to the wrong side."""
    far: list[Chart] = field(default_factory=list)
    near: list[Chart] = field(default_factory=list)
    frame_size: tuple[int, int] = (0, 0)
    registrations: list[Registration] = field(default_factory=list)
    samples: list[LightSample] = field(default_factory=list)
    shown: list[tuple[float, Colour | None]] = field(default_factory=list)
    """The colours that were sent to the page, each with the time of its start."""
    templates: list[Template] = field(default_factory=list)
    live_scores: list[LiveScores] = field(default_factory=list)
    _registered: int = 0

    def register_next(self) -> bool:
        """Compare the next far chart with the next near one. Return False if none is left.

        One call for each frame spreads the work over the frames.
        """
        index = self._registered
        if index >= min(len(self.far), len(self.near)):
            return False
        self._registered += 1
        registration = parallax.register(self.far[index], self.near[index], self.frame_size)
        if registration is not None:
            self.registrations.append(registration)
        return True
