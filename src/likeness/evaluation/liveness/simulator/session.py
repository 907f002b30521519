"""One simulated attempt: a presentation, a camera, a page, a network, and the real liveness check."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.subject import Presentation
from likeness.liveness.base import Frame, LivenessCheck, Verdict

_LONGEST_SECONDS = 75.0


@dataclass(frozen=True, slots=True)
class SimulatedAttempt:
    """The end of an attempt."""

    verdict: Verdict
    frames: int
    lasted_seconds: float


@dataclass(frozen=True, slots=True)
class NetworkConditions:
    """One network connection, drawn at random."""

    frame_seconds: float
    up_seconds: float
    down_seconds: float
    jitter_seconds: float
    unevenness: float = 0.1
    """How much the time between two frames differs from ``frame_seconds`` at most, as a fraction of it."""

    @classmethod
    def draw(cls, chance: np.random.Generator) -> "NetworkConditions":
        return cls(
            float(chance.uniform(1 / 13, 1 / 9)),
            float(chance.uniform(0.02, 0.12)),
            float(chance.uniform(0.01, 0.08)),
            float(chance.uniform(0.0, 0.03)),
        )


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of a recorded attempt, with the status code that the page showed at that time."""

    at_seconds: float
    data: bytes
    status_code: str


def carry_out(
    presentation: Presentation,
    check: LivenessCheck,
    chance: np.random.Generator,
    *,
    recording: list[Shot] | None = None,
    network: NetworkConditions | None = None,
) -> SimulatedAttempt:
    """Run one attempt in simulated time until its verdict.

    The page shows each instruction at the time of its arrival. ``recording``, if given, receives all frames.
    ``network`` is drawn at random by default.
    """
    network = network or NetworkConditions.draw(chance)
    captured = 0.5
    arrived = 0.0
    flash_index: int | None = None
    status_code = ""
    pending: list[tuple[float, dict[str, Any], int | None]] = []
    frames = 0
    while True:
        while pending and pending[0][0] <= captured:
            at, message, flash_index = pending.pop(0)
            presentation.react(message, at)
            status_code = message["statusCode"]
        data = presentation.encode(presentation.frame(captured))
        if recording is not None:
            recording.append(Shot(captured, data, status_code))
        arrived = max(captured + network.up_seconds + float(chance.exponential(network.jitter_seconds)), arrived + 1e-3)
        instruction = check.observe(
            Frame(
                decode_frame(data),
                arrived,
                data,
                client_at_seconds=captured,
                flash_index=flash_index,
                camera_at_seconds=captured,
                camera_frame=3 * frames,
            )
        )
        frames += 1
        if instruction.verdict is None and captured > _LONGEST_SECONDS:
            instruction = check.tick(arrived + _LONGEST_SECONDS)
        if instruction.verdict is not None:
            return SimulatedAttempt(instruction.verdict, frames, captured)
        pending.append((arrived + network.down_seconds, instruction.as_json(), instruction.flash_index))
        captured += network.frame_seconds * float(chance.uniform(1 - network.unevenness, 1 + network.unevenness))


def decode_frame(data: bytes) -> Image:
    """Decode a JPEG of the simulator to (height, width, 3) RGB bytes."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None, "the simulator wrote this JPEG itself"
    return np.asarray(pixels, np.uint8)
