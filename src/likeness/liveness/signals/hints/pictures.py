"""Traces in the pictures: frames that repeat, that are computed from their neighbours, or that have no noise.

A sensor's noise is new in every frame. So no frame is the mean of its neighbours, and none equals another.
"""

import hashlib
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.liveness.base import Frame
from likeness.liveness.signals.hints.base import InjectionHint, allowed

STILL = 0.02
"""Least mean absolute difference of the green channels of two consecutive frames from a sensor, in levels."""
MOVING = 1.0
"""Least mean absolute difference of a frame's two neighbours, in levels. Below it, a mean tells nothing."""
INTERPOLATED = 0.25
"""A frame's difference from the mean of its neighbours, as a fraction of theirs. Of live people's frames in
simulated attempts the lowest was 0.41."""
REPEATED_FRACTION = 0.05
INTERPOLATED_FRACTION = 0.1


@dataclass(slots=True)
class PictureWatch:
    """A watch over the frames' pictures."""

    _digests: set[bytes] = field(default_factory=set)
    _frames: int = 0
    _repeated: int = 0
    _noiseless: int = 0
    _interpolated: int = 0
    _last: list[NDArray[np.uint8]] = field(default_factory=list)
    """The green channels of the last two frames, every second row and column."""

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        del newest_flash_index
        self._frames += 1
        digest = hashlib.sha256(frame.data).digest()
        self._repeated += digest in self._digests
        self._digests.add(digest)
        green = np.ascontiguousarray(frame.image[::2, ::2, 1])
        if self._last and self._last[-1].shape != green.shape:
            self._last.clear()
        if self._last:
            self._noiseless += _difference(green, self._last[-1]) < STILL
        if len(self._last) == 2:
            self._interpolated += _is_between(self._last[0], self._last[1], green)
        self._last = [*self._last[-1:], green]

    def found(self) -> dict[InjectionHint, bool]:
        few, some = (allowed(fraction, self._frames) for fraction in (REPEATED_FRACTION, INTERPOLATED_FRACTION))
        return {
            InjectionHint.REPEATED_FRAMES: self._repeated > few,
            InjectionHint.NO_SENSOR_NOISE: self._noiseless > few,
            InjectionHint.INTERPOLATED_FRAMES: self._interpolated > some,
        }


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(cv2.absdiff(one, other).mean())


def _is_between(before: NDArray[np.uint8], middle: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    moved = _difference(before, after)
    mean = np.asarray(cv2.addWeighted(before, 0.5, after, 0.5, 0), np.uint8)
    return moved > MOVING and _difference(middle, mean) < INTERPOLATED * moved
