"""Observations made by hand, for tests of the instructions to a person."""

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np

from likeness.engine.base import Box, Detection
from likeness.liveness.attempt.director import Director
from likeness.liveness.base import Frame, Instruction, StatusCode
from likeness.liveness.frame.chart import HEIGHT, WIDTH, Chart
from likeness.liveness.frame.observation import LIGHT_SHAPE, FaceView, Observation
from likeness.liveness.signals.identity import IdentitySample
from likeness.liveness.thresholds import THRESHOLDS

SIDE = 480
FAR = THRESHOLDS.guidance.far_scale * SIDE
NEAR = THRESHOLDS.guidance.near_scale * SIDE
_numbers = count()


def face(
    eye_distance: float = FAR,
    *,
    yaw: float = 0.0,
    pitch: float = 0.6,
    roll: float = 0.0,
    x: float = 320.0,
    y: float = 240.0,
    brightness: float = 120.0,
    sharpness: float = 8.0,
) -> FaceView:
    box = Box(x - eye_distance, y - eye_distance, 2 * eye_distance, 2.4 * eye_distance)
    chart = Chart(np.full((HEIGHT, WIDTH, 3), 100, np.uint8), eye_distance)
    return FaceView(
        detection=Detection(box, np.zeros((5, 2), np.float32), 0.9),
        eye_distance_pixels=eye_distance,
        centre_x=x,
        centre_y=y,
        yaw=yaw,
        pitch=pitch,
        roll_degrees=roll,
        chart=chart,
        brightness=brightness,
        sharpness=sharpness,
        light=np.full((*LIGHT_SHAPE, 3), 0.2, np.float32),
        surroundings=np.full((60, 80, 3), 90, np.uint8),
        beside=np.ones((60, 80), bool),
    )


def seen(
    at_seconds: float, view: FaceView | None = None, *, faces: int | None = None, flash_index: None = None
) -> Observation:
    number = next(_numbers)
    image = np.random.default_rng(number).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    image = np.repeat(np.repeat(image, 10, axis=0), 10, axis=1)
    frame = Frame(image, at_seconds, number.to_bytes(8, "big"), flash_index=flash_index)
    return Observation(frame, (view is not None) if faces is None else faces, view)


@dataclass
class Walk:
    """A director that gets frame after frame, with all its instructions and chosen samples."""

    director: Director
    now: float = 100.0
    instructions: list[Instruction] = field(default_factory=list)
    looks: list[IdentitySample] = field(default_factory=list)
    pace: float = 0.1
    """The seconds between two frames."""

    def show(
        self, view: FaceView | None = None, *, frames: int = 1, every: float | None = None, **facts: Any
    ) -> Instruction:
        for _ in range(frames):
            self.now += self.pace if every is None else every
            observation = seen(self.now, view, **facts)
            self.looks += self.director.choose_samples(observation)
            self.instructions.append(self.director.advance(observation))
            if self.instructions[-1].verdict:
                break
        return self.instructions[-1]

    def approach(self, *, seconds: float = 1.0, start: float = FAR, end: float = NEAR) -> Instruction:
        steps = max(round(seconds / self.pace), 1)
        for step in range(1, steps + 1):
            self.show(face(start + (end - start) * step / steps))
        return self.instructions[-1]

    @property
    def codes(self) -> list[StatusCode]:
        kept: list[StatusCode] = []
        for one in self.instructions:
            if not kept or kept[-1] != one.status_code:
                kept.append(one.status_code)
        return kept


def changed(view: FaceView, **facts: Any) -> FaceView:
    return replace(view, **facts)
