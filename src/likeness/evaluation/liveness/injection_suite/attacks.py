"""The kinds of injection attack: the method, the instrument, and what the attacker puts before the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from likeness.engine.base import Engine, Image
from likeness.evaluation.liveness.injection_suite.scene import Method
from likeness.evaluation.liveness.simulator.attacks import ReplayedSession, SwappedPerson
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import Shot, carry_out
from likeness.evaluation.liveness.simulator.subject import Presentation, SimulatedSubject
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import PALETTE, LivenessMode, draw_script

CAMERA = "Integrated Webcam"


class InjectionKind(StrEnum):
    """The kinds of injection attack, and of what the suite compares them with."""

    NO_ATTACK = "no_attack"
    VIRTUAL_CAMERA = "virtual_camera"
    REPLAYED_VIDEO_FILE = "replayed_video_file"
    CANVAS_STREAM = "canvas_stream"
    OVERRIDDEN_CAMERA_CALL = "overridden_camera_call"
    FRAMES_SWAPPED_IN_SOCKET = "frames_swapped_in_socket"
    PERFECT_TIMING = "perfect_timing"
    RECORDED_SESSION = "recorded_session"
    WRONG_FLASH_ANSWER = "wrong_flash_answer"
    FACE_SWAPPED_MIDWAY = "face_swapped_midway"
    SOCKET_CLIENT = "socket_client"
    REPLACED_DRIVER = "replaced_driver"
    SIGNING_SOCKET_CLIENT = "signing_socket_client"


@dataclass(frozen=True, slots=True)
class InjectionAttack:
    """One kind in the terms of CEN/TS 18099."""

    kind: InjectionKind
    method: str
    """The injection attack method (IAM)."""
    instrument: str
    """The injection attack instrument (IAI)."""
    is_open: bool = False
    """Whether the product does not claim to detect it."""


_DOUBLE = "a synthetic live head that follows the page"
ATTACKS = (
    InjectionAttack(InjectionKind.VIRTUAL_CAMERA, "a virtual camera with its usual name", _DOUBLE),
    InjectionAttack(InjectionKind.REPLAYED_VIDEO_FILE, "a video file as the camera", "an earlier live session"),
    InjectionAttack(InjectionKind.CANVAS_STREAM, "a canvas stream in place of the camera's", _DOUBLE),
    InjectionAttack(InjectionKind.OVERRIDDEN_CAMERA_CALL, "getUserMedia replaced in the page", _DOUBLE),
    InjectionAttack(InjectionKind.FRAMES_SWAPPED_IN_SOCKET, "frames exchanged in the page's messages", _DOUBLE),
    InjectionAttack(InjectionKind.PERFECT_TIMING, "a replaced driver with frames at equal times", _DOUBLE),
    InjectionAttack(InjectionKind.RECORDED_SESSION, "a replaced driver", "an earlier live session, part by part"),
    InjectionAttack(InjectionKind.WRONG_FLASH_ANSWER, "a replaced driver", f"{_DOUBLE}, lit by other colours"),
    InjectionAttack(InjectionKind.FACE_SWAPPED_MIDWAY, "a replaced driver", "two people, one after the other"),
    InjectionAttack(InjectionKind.SOCKET_CLIENT, "a program without a browser", _DOUBLE),
    InjectionAttack(InjectionKind.REPLACED_DRIVER, "a replaced driver", _DOUBLE, is_open=True),
    InjectionAttack(InjectionKind.SIGNING_SOCKET_CLIENT, "a program that imitates the page", _DOUBLE, is_open=True),
)
"""All attacks. The last two are open: no signal of the pictures or of the page tells them from a person."""

METHODS: Mapping[InjectionKind, Method] = {
    InjectionKind.CANVAS_STREAM: Method.CANVAS,
    InjectionKind.OVERRIDDEN_CAMERA_CALL: Method.OVERRIDDEN,
    InjectionKind.FRAMES_SWAPPED_IN_SOCKET: Method.SOCKET,
}
SOCKET_CLIENTS = frozenset({InjectionKind.SOCKET_CLIENT, InjectionKind.SIGNING_SOCKET_CLIENT})


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of one attack, and its chance."""

    engine: Engine
    victim: Portrait
    accomplice: Portrait
    chance: np.random.Generator

    def presentation(self, kind: InjectionKind) -> Presentation:
        """Give what stands before the camera, or is put in its place."""
        build: dict[InjectionKind, Callable[[], Presentation]] = {
            InjectionKind.VIRTUAL_CAMERA: lambda: self.double("OBS Virtual Camera"),
            InjectionKind.FRAMES_SWAPPED_IN_SOCKET: lambda: SimulatedSubject(self.accomplice, self.chance),
            InjectionKind.RECORDED_SESSION: lambda: ReplayedSession(self.recording(), self.chance),
            InjectionKind.WRONG_FLASH_ANSWER: lambda: OtherColours(self.double()),
            InjectionKind.FACE_SWAPPED_MIDWAY: lambda: SwappedPerson(self.victim, self.accomplice, self.chance),
        }
        return build.get(kind, self.double)()

    def double(self, label: str = CAMERA) -> SimulatedSubject:
        """Give the victim's synthetic live head. It does all that a live person does."""
        return SimulatedSubject(self.victim, self.chance, camera_label=label)

    def recording(self) -> list[Shot]:
        """Record an earlier live session of the victim."""
        shots: list[Shot] = []
        carry_out(self.double(), Check(self.engine, draw_script(LivenessMode.ACTIVE)), self.chance, recording=shots)
        return shots


@dataclass(slots=True)
class OtherColours:
    """A synthetic head that is lit by other colours than those that the page shows."""

    double: SimulatedSubject
    camera_label: str = CAMERA

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        shown = [str(colour) for colour in PALETTE]
        colour = message["colour"]
        if colour in shown:
            # Two places on in the circle of colours, and back for every second one.
            place = shown.index(colour)
            colour = shown[(place + (2 if place % 2 else -2)) % len(shown)]
        self.double.react({**message, "colour": colour}, at_seconds)

    def frame(self, at_seconds: float) -> Image:
        return self.double.frame(at_seconds)

    def encode(self, image: Image) -> bytes:
        return self.double.encode(image)
