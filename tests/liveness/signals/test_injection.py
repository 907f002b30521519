"""The hints of the injection signal, each by the traces that it looks for."""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from likeness.liveness.base import DeclaredCamera, Frame
from likeness.liveness.signals import injection
from likeness.liveness.signals.hints.base import InjectionHint as Hint
from likeness.liveness.signals.hints.compression import recipe
from likeness.liveness.signals.injection import InjectionWatch

GENUINE = DeclaredCamera("FaceTime HD Camera", "MediaStreamTrack", True, True, 1280, 720, 30, 1920, 1080, 60)


class Camera:
    def __init__(self) -> None:
        self.chance = np.random.default_rng(1)
        self.scene = self.chance.integers(0, 255, (48, 64, 3))

    def frame(self, number: int, *, noise: float = 2.0, **facts: Any) -> Frame:
        image = np.clip(self.scene + self.chance.normal(0, noise, self.scene.shape), 0, 255).astype(np.uint8)
        known: dict[str, Any] = {
            "data": bytes([number]),
            "client_at_seconds": 100 + number / 10 + 0.004 * math.sin(number),
            "camera_at_seconds": 3 + number / 10 + 0.001 * math.cos(number),
            "camera_frame": 3 * number,
            "signed": True,
        }
        return Frame(image, 5 + number / 10, **known | facts)

    def frames(self, count: int = 40, **facts: Any) -> list[Frame]:
        return [self.frame(number, **facts) for number in range(count)]


def hints(frames: Iterable[Frame], camera: DeclaredCamera = GENUINE, newest: int | None = 3) -> tuple[Hint, ...]:
    watch = InjectionWatch(camera)
    for frame in frames:
        watch.see(frame, newest_flash_index=newest)
    return watch.hints()


def test_a_camera_raises_no_suspicion() -> None:
    watch = InjectionWatch(GENUINE)
    for frame in Camera().frames(flash_index=2):
        watch.see(frame, newest_flash_index=3)
    result = injection.judge(watch)
    assert (result.passed, result.score, result.codes) == (True, 1.0, ())


def test_a_hint_fails_the_signal_and_is_named() -> None:
    watch = InjectionWatch(replace(GENUINE, label="OBS Virtual Camera", native=False))
    result = injection.judge(watch)
    assert (result.passed, result.score) == (False, 0.0)
    assert result.codes == ("VIRTUAL_CAMERA", "CAMERA_CALL_REPLACED")
    assert result.reason == "the camera is a virtual one; the page's call for the camera was replaced"
    assert len({hint.reason for hint in Hint}) == len(Hint)


@pytest.mark.parametrize(
    ("faked", "hint"),
    [
        ({"data": b"same"}, Hint.REPEATED_FRAMES),
        ({"noise": 0.0}, Hint.NO_SENSOR_NOISE),
        ({"flash_index": 9}, Hint.EARLY_ANSWER),
        ({"client_at_seconds": 7.0}, Hint.CLOCK_CONTRADICTION),
        ({"signed": False}, Hint.UNSIGNED_FRAMES),
        ({"camera_frame": 5}, Hint.CAMERA_CLOCK_CONTRADICTION),
        ({"camera_at_seconds": 5.0}, Hint.CAMERA_CLOCK_CONTRADICTION),
    ],
)
def test_each_trace_in_the_frames_is_noticed(faked: Any, hint: Hint) -> None:
    assert hint in hints(Camera().frames(**faked))


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"label": "OBS Virtual Camera"}, Hint.VIRTUAL_CAMERA),
        ({"label": "fake_device_0"}, Hint.VIRTUAL_CAMERA),
        ({"label": "/home/me/victim.mjpeg"}, Hint.VIRTUAL_CAMERA),
        ({"track": "CanvasCaptureMediaStreamTrack"}, Hint.NOT_A_CAMERA),
        ({"listed": False}, Hint.NOT_A_CAMERA),
        ({"native": False}, Hint.CAMERA_CALL_REPLACED),
        ({"width": 3840}, Hint.IMPOSSIBLE_SETTINGS),
        ({"frames_per_second": 90}, Hint.IMPOSSIBLE_SETTINGS),
        ({"frames_per_second": 500, "most_frames_per_second": None}, Hint.IMPOSSIBLE_SETTINGS),
    ],
)
def test_each_trace_in_the_statements_is_noticed(changes: Any, hint: Hint) -> None:
    assert hints(Camera().frames(), replace(GENUINE, **changes)) == (hint,)


def test_statements_that_are_missing_break_no_rule() -> None:
    silent: dict[str, Any] = {
        "client_at_seconds": None,
        "camera_at_seconds": None,
        "camera_frame": None,
        "signed": None,
    }
    assert hints(Camera().frames(**silent), DeclaredCamera()) == ()


def test_a_colour_cannot_be_answered_before_any_was_shown() -> None:
    assert hints([Camera().frame(0, flash_index=0)], newest=None) == (Hint.EARLY_ANSWER,)


def test_a_clock_that_runs_ahead_is_noticed() -> None:
    camera = Camera()
    ahead = [camera.frame(number, client_at_seconds=float(number), camera_at_seconds=None) for number in range(40)]
    assert Hint.CLOCK_CONTRADICTION in hints(ahead)


def test_frames_at_equal_times_are_noticed() -> None:
    camera = Camera()
    equal = [camera.frame(number, client_at_seconds=100 + number * 0.09) for number in range(40)]
    assert hints(equal) == (Hint.PERFECT_TIMING,)
    assert hints(equal[:7] + equal[8:30] + equal[32:]) == (Hint.PERFECT_TIMING,)
    assert hints(equal[:20]) == ()


def test_a_camera_clock_that_stands_apart_is_noticed() -> None:
    camera = Camera()
    slow = [camera.frame(number, camera_at_seconds=3 + number / 30) for number in range(60)]
    assert hints(slow) == (Hint.CAMERA_CLOCK_CONTRADICTION,)


def test_a_camera_that_is_opened_again_is_no_fault() -> None:
    camera = Camera()
    frames = [
        *camera.frames(30),
        *(camera.frame(n, camera_at_seconds=n / 10 - 3, camera_frame=n) for n in range(31, 60)),
    ]
    assert hints(frames) == ()


def test_frames_faster_than_a_cameras_are_noticed() -> None:
    rushed = [replace(one, received_at_seconds=5 + index / 200) for index, one in enumerate(Camera().frames(60))]
    assert Hint.TOO_MANY_FRAMES in hints(rushed)


def test_frames_between_two_others_are_noticed() -> None:
    camera = Camera()
    shots = [camera.frame(number) for number in range(21)]
    images = []
    for one, other in pairwise(shots):
        moved = np.roll(other.image, 1, axis=1)
        images += [one.image, np.asarray(cv2.addWeighted(one.image, 0.5, moved, 0.5, 0), np.uint8), moved]
    frames = [replace(camera.frame(number), image=image) for number, image in enumerate(images)]
    assert hints(frames) == (Hint.INTERPOLATED_FRAMES,)


def test_answers_faster_than_a_screen_are_noticed() -> None:
    def attempt(delay: float) -> tuple[Hint, ...]:
        camera, watch, at = Camera(), InjectionWatch(GENUINE), 5.0
        for number in range(40):
            newest = number // 4 - 1 if number >= 4 else None
            # The colour was sent upon the frame before this one.
            at += delay if number % 4 == 0 else 0.09
            frame = camera.frame(number, flash_index=newest if newest is None or newest >= 0 else None)
            watch.see(replace(frame, received_at_seconds=at), newest_flash_index=newest)
        return watch.hints()

    assert attempt(0.001) == (Hint.IMPOSSIBLE_ANSWER,)
    assert attempt(0.04) == ()


def test_a_second_program_that_compresses_is_noticed() -> None:
    camera = Camera()

    def compressed(number: int, quality: int) -> Frame:
        frame = camera.frame(number)
        return replace(frame, data=cv2.imencode(".jpg", frame.image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes())

    one = [compressed(number, 85) for number in range(20)]
    assert hints(one) == ()
    assert hints([*one, compressed(20, 90)]) == (Hint.COMPRESSION_CHANGED,)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb", b"\xff\xd8\xff\xdb\xff\xff", b"no picture at all"]
)
def test_a_broken_header_is_no_recipe(data: bytes) -> None:
    assert recipe(data) is None


def test_one_repeated_frame_is_forgiven() -> None:
    frames = Camera().frames(30)
    again = replace(frames[-1], received_at_seconds=9.0, client_at_seconds=None, camera_at_seconds=None)
    assert hints([*frames, again]) == ()
