"""The injection signal: hints that the frames do not come from a camera.

The hints are repeated frames, no sensor noise, impossible timing, and the name of a virtual camera. A careful attacker
can avoid each of them. But the checks are cheap and detect simple attacks.
"""

import hashlib
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.liveness.base import DeclaredCamera, Frame, SignalName, SignalResult

VIRTUAL_CAMERAS = (
    "obs virtual",
    "obs-camera",
    "manycam",
    "xsplit vcam",
    "splitcam",
    "snap camera",
    "webcamoid",
    "e2esoft",
    "vcam",
    "camtwist",
    "sparkocam",
    "altercam",
    "chromacam",
    "unity video capture",
    "v4l2loopback",
    "dummy video device",
    "virtual camera",
    "fake_device",
)
"""Parts of the names of virtual cameras, in lower case."""

_STILL = 0.02
"""Least mean absolute difference of the green channels of two consecutive frames from a sensor, in levels."""
_REPEATED_FRACTION = 0.05
_FASTEST_FRAMES_PER_SECOND = 70.0
_CLOCK_DRIFT_SECONDS = 2.0


@dataclass(slots=True)
class InjectionWatch:
    """A watch over all frames of an attempt at their arrival."""

    camera: DeclaredCamera
    _digests: set[bytes] = field(default_factory=set)
    _frames: int = 0
    _repeated: int = 0
    _noiseless: int = 0
    _early_echoes: int = 0
    _last_image: NDArray[np.uint8] | None = None
    _first: tuple[float, float] | None = None
    _last_client_seconds: float | None = None
    _clock_faults: int = 0
    _arrivals: list[float] = field(default_factory=list)

    def see(self, frame: Frame, *, newest_flash_index: int | None) -> None:
        """Take a frame. ``newest_flash_index`` is the last colour that was sent to the page so far."""
        self._frames += 1
        self._arrivals.append(frame.received_at_seconds)
        digest = hashlib.sha256(frame.data).digest()
        self._repeated += digest in self._digests
        self._digests.add(digest)
        small = np.ascontiguousarray(frame.image[::2, ::2, 1])
        if self._last_image is not None and self._last_image.shape == small.shape:
            self._noiseless += float(cv2.absdiff(small, self._last_image).mean()) < _STILL
        self._last_image = small
        if frame.flash_index is not None and frame.flash_index > (
            -1 if newest_flash_index is None else newest_flash_index
        ):
            self._early_echoes += 1
        self._check_clock(frame)

    def _check_clock(self, frame: Frame) -> None:
        client = frame.client_at_seconds
        if client is None:
            return
        if self._first is None:
            self._first = client, frame.received_at_seconds
        if self._last_client_seconds is not None and client <= self._last_client_seconds:
            self._clock_faults += 1
        self._last_client_seconds = client
        # Frames can wait in the network, so the client's time can be late. But it cannot be early.
        if (client - self._first[0]) - (frame.received_at_seconds - self._first[1]) > _CLOCK_DRIFT_SECONDS:
            self._clock_faults += 1

    def faults(self) -> list[str]:
        """Return the signs of injection."""
        label = (self.camera.label or "").lower()
        lasting = self._arrivals[-1] - self._arrivals[0] if len(self._arrivals) > 1 else 0.0
        allowed = max(1.0, _REPEATED_FRACTION * self._frames)
        found = {
            "the camera is a virtual one": any(name in label for name in VIRTUAL_CAMERAS),
            "frames repeat": self._repeated > allowed,
            "frames carry no sensor noise": self._noiseless > allowed,
            "frames come faster than from a camera": self._frames > 20
            and self._frames > _FASTEST_FRAMES_PER_SECOND * lasting,
            "a colour was reported before it was shown": self._early_echoes > 0,
            "the client's clock contradicts itself": self._clock_faults > allowed,
        }
        return [reason for reason, present in found.items() if present]


def judge(watch: InjectionWatch) -> SignalResult:
    """Judge the injection signal. The score is 1 without any hint and 0 with one."""
    faults = watch.faults()
    reason = "; ".join(faults) or "there is no sign of injected frames"
    return SignalResult(SignalName.INJECTION, float(not faults), 1.0, passed=not faults, reason=reason)
