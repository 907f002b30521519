from typing import Any

import numpy as np
import pytest

from likeness.liveness.base import DeclaredCamera, Frame
from likeness.liveness.signals import injection
from likeness.liveness.signals.injection import InjectionWatch


class Camera:
    def __init__(self) -> None:
        self.chance = np.random.default_rng(1)
        self.scene = self.chance.integers(0, 255, (48, 64, 3))

    def frame(self, number: int, *, noise: float = 2.0, **facts: Any) -> Frame:
        image = np.clip(self.scene + self.chance.normal(0, noise, self.scene.shape), 0, 255).astype(np.uint8)
        known: dict[str, Any] = {"data": bytes([number]), "client_at_seconds": 100 + number / 10}
        return Frame(image, 5 + number / 10, **known | facts)


def watched(frames: list[Frame], *, label: str | None = None, newest: int | None = 3) -> InjectionWatch:
    watch = InjectionWatch(DeclaredCamera(label))
    for frame in frames:
        watch.see(frame, newest_flash_index=newest)
    return watch


def test_a_camera_raises_no_suspicion() -> None:
    camera = Camera()
    watch = watched([camera.frame(number, flash_index=2) for number in range(40)], label="FaceTime HD Camera")
    result = injection.judge(watch)
    assert (result.passed, result.score, watch.faults()) == (True, 1.0, [])


@pytest.mark.parametrize(
    ("faked", "label", "reason"),
    [
        ({"data": b"same"}, None, "frames repeat"),
        ({"noise": 0.0}, None, "frames carry no sensor noise"),
        ({"flash_index": 9}, None, "a colour was reported before it was shown"),
        ({"client_at_seconds": 7.0}, None, "the client's clock contradicts itself"),
        ({}, "OBS Virtual Camera", "the camera is a virtual one"),
        ({}, "fake_device_0", "the camera is a virtual one"),
    ],
)
def test_each_hint_is_named(faked: Any, label: str | None, reason: str) -> None:
    camera = Camera()
    watch = watched([camera.frame(number, **faked) for number in range(40)], label=label)
    assert watch.faults() == [reason]
    assert injection.judge(watch).reason == reason


def test_a_colour_cannot_be_answered_before_any_was_shown() -> None:
    watch = watched([Camera().frame(0, flash_index=0)], newest=None)
    assert watch.faults() == ["a colour was reported before it was shown"]


def test_a_clock_that_runs_ahead_is_reported() -> None:
    camera = Camera()
    watch = watched([camera.frame(number, client_at_seconds=float(number)) for number in range(40)])
    assert watch.faults() == ["the client's clock contradicts itself"]


def test_frames_faster_than_a_cameras_are_reported() -> None:
    camera = Camera()
    frames = [camera.frame(number) for number in range(60)]
    rushed = [Frame(one.image, 5 + index / 200, one.data) for index, one in enumerate(frames)]
    assert watched(rushed).faults() == ["frames come faster than from a camera"]


def test_a_client_without_a_clock_is_no_fault() -> None:
    camera = Camera()
    assert not watched([camera.frame(number, client_at_seconds=None) for number in range(10)]).faults()


def test_one_repeated_frame_is_forgiven() -> None:
    camera = Camera()
    frames = [camera.frame(number) for number in range(30)]
    assert not watched([*frames, Frame(frames[-1].image, 9.0, frames[-1].data)]).faults()
