"""Traces in the frames' times: the server's, the browser's, and the camera's."""

from dataclasses import dataclass, field

import numpy as np

from likeness.liveness.base import Frame
from likeness.liveness.signals.hints.base import InjectionHint, allowed

FASTEST_FRAMES_PER_SECOND = 70.0
DRIFT_SECONDS = 2.0
"""Longest time that the browser's clock may be early by, and that the camera's may differ by from the browser's."""
STEADIEST_SECONDS = 0.0003
"""Least mean difference of the times between frames from multiples of the usual one. A browser encodes and sends each
frame, and no two take equally long."""
FEWEST_FRAMES = 20
FAULTY_FRACTION = 0.05


@dataclass(slots=True)
class ClockWatch:
    """A watch over the frames' times."""

    _frames: int = 0
    _faults: int = 0
    _camera_faults: int = 0
    _arrivals: list[float] = field(default_factory=list)
    _stated: list[float] = field(default_factory=list)
    _first: tuple[float, float] | None = None
    _camera_first: tuple[float, float] | None = None
    _last_camera: tuple[float, int | None] | None = None

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        del newest_flash_index
        self._frames += 1
        self._arrivals.append(frame.received_at_seconds)
        if frame.client_at_seconds is not None:
            self._compare_with_arrival(frame.client_at_seconds, frame.received_at_seconds)
            if frame.camera_at_seconds is not None:
                self._compare_with_camera(frame.camera_at_seconds, frame.camera_frame, frame.client_at_seconds)

    def _compare_with_arrival(self, client: float, received: float) -> None:
        if self._first is None:
            self._first = client, received
        if self._stated and client <= self._stated[-1]:
            self._faults += 1
        self._stated.append(client)
        # Frames can wait in the network, so the client's time can be late. But it cannot be early.
        if (client - self._first[0]) - (received - self._first[1]) > DRIFT_SECONDS:
            self._faults += 1

    def _compare_with_camera(self, camera: float, number: int | None, client: float) -> None:
        last, self._last_camera = self._last_camera, (camera, number)
        if last is None or self._camera_first is None or camera <= last[0]:
            # A camera that was opened again begins its clock again. It is opened once or twice in an attempt.
            self._camera_faults += last is not None
            self._camera_first = camera, client
            return
        counted = number is None or last[1] is None or number > last[1]
        drift = abs((camera - self._camera_first[0]) - (client - self._camera_first[1]))
        self._camera_faults += not counted or drift > DRIFT_SECONDS

    def _is_steady(self) -> bool:
        """Whether the times between frames are nearly multiples of the usual one, because a page leaves frames out."""
        between = np.diff(self._stated)
        usual = max(float(np.median(between)), 1e-6)
        return float(np.abs(between - usual * np.round(between / usual)).mean()) < STEADIEST_SECONDS

    def found(self) -> dict[InjectionHint, bool]:
        lasting = self._arrivals[-1] - self._arrivals[0] if len(self._arrivals) > 1 else 0.0
        many, few = self._frames > FEWEST_FRAMES, allowed(FAULTY_FRACTION, self._frames)
        return {
            InjectionHint.TOO_MANY_FRAMES: many and self._frames > FASTEST_FRAMES_PER_SECOND * lasting,
            InjectionHint.PERFECT_TIMING: len(self._stated) > FEWEST_FRAMES and self._is_steady(),
            InjectionHint.CLOCK_CONTRADICTION: self._faults > few,
            InjectionHint.CAMERA_CLOCK_CONTRADICTION: self._camera_faults > few,
        }
