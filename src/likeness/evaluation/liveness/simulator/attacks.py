"""Presentation attack instruments and injections.

Each attacker follows the page's instructions as far as the instrument allows.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.evaluation.liveness.simulator.motion import Motion
from likeness.evaluation.liveness.simulator.portrait import (
    BOTTOM_CM,
    HEIGHT,
    LEFT_CM,
    PIXELS_PER_CM,
    TOP_CM,
    WIDTH,
    Portrait,
)
from likeness.evaluation.liveness.simulator.scene import LINEAR, Layer
from likeness.evaluation.liveness.simulator.session import Shot, decode_frame
from likeness.evaluation.liveness.simulator.stage import Stage, draw_background
from likeness.evaluation.liveness.simulator.subject import Presentation, SimulatedSubject, body_mask
from likeness.evaluation.liveness.simulator.surfaces import Cylinder, Plane, Surface
from likeness.liveness.base import StatusCode


class AttackKind(StrEnum):
    """The kinds of attack."""

    FLAT_PRINT = "flat_print"
    BENT_PRINT = "bent_print"
    CUT_OUT_EYES = "cut_out_eyes"
    SCREEN_REPLAY = "screen_replay"
    REPLAYED_SESSION = "replayed_session"
    SWAPPED_PERSON = "swapped_person"
    INJECTED_STILL = "injected_still"
    VIRTUAL_CAMERA = "virtual_camera"


NEEDS_RECORDING = frozenset({AttackKind.SCREEN_REPLAY, AttackKind.REPLAYED_SESSION})
"""The attacks that replay an earlier attempt of the victim."""


def mount(
    kind: AttackKind,
    victim: Portrait,
    accomplice: Portrait,
    chance: np.random.Generator,
    recording: list[Shot] | None = None,
) -> Presentation:
    """Prepare an attack in the victim's name. ``recording`` is an earlier live attempt of the victim."""
    earlier = recording or []
    build: dict[AttackKind, Callable[[], Presentation]] = {
        AttackKind.FLAT_PRINT: lambda: HeldSheet(victim, Plane(), chance),
        AttackKind.BENT_PRINT: lambda: HeldSheet(victim, Cylinder(float(chance.uniform(6.5, 16))), chance),
        AttackKind.CUT_OUT_EYES: lambda: CutOutEyes(victim, accomplice, chance),
        AttackKind.SCREEN_REPLAY: lambda: ScreenReplay(victim, earlier, chance),
        AttackKind.REPLAYED_SESSION: lambda: ReplayedSession(earlier, chance),
        AttackKind.SWAPPED_PERSON: lambda: SwappedPerson(victim, accomplice, chance),
        AttackKind.INJECTED_STILL: lambda: InjectedStill(victim, chance),
        AttackKind.VIRTUAL_CAMERA: lambda: SimulatedSubject(
            victim, chance, camera_label=str(chance.choice(("OBS Virtual Camera", "ManyCam Virtual Webcam")))
        ),
    }
    return build[kind]()


class HeldSheet:
    """A print held by hand, stiff or bent.

    It is cut out along the head, or it has its own background. Its size is 70 % to 110 % of life size.
    """

    def __init__(
        self, portrait: Portrait, surface: Surface, chance: np.random.Generator, *, stage: Stage | None = None
    ) -> None:
        self.camera_label = "Integrated Webcam"
        self._stage = stage or Stage(chance)
        self._size = float(chance.uniform(0.7, 1.1))
        self._motion = hand(self._stage, chance, self._size)
        self._surface = surface
        self._texture = printed(portrait.pixels, chance)
        self._alpha = head_mask() if chance.random() < 0.5 else None

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        self._stage.shows(message, at_seconds)
        self._motion.react(message, at_seconds)

    def frame(self, at_seconds: float) -> Image:
        sheet = Layer(
            self._surface,
            self._texture,
            self._motion.pose(at_seconds),
            alpha=self._alpha,
            size=self._size,
            reach_cm=19.0 * self._size,
        )
        return self._stage.film((sheet,), at_seconds)

    def encode(self, image: Image) -> bytes:
        return self._stage.camera.compress(image)


class CutOutEyes:
    """A print worn like a mask, a little bent, with holes for the wearer's own eyes."""

    def __init__(self, victim: Portrait, wearer: Portrait, chance: np.random.Generator) -> None:
        self.camera_label = "Integrated Webcam"
        self._wearer = SimulatedSubject(wearer, chance)
        self._radius = float(chance.uniform(8.0, 40.0))
        self._texture = printed(victim.pixels, chance)
        holes = head_mask()
        for side in (-1, 1):
            centre = (round((LEFT_CM + side * 3.15) * PIXELS_PER_CM), round(TOP_CM * PIXELS_PER_CM))
            cv2.ellipse(holes, centre, (round(1.5 * PIXELS_PER_CM), round(0.7 * PIXELS_PER_CM)), 0, 0, 360, 0, -1)
        self._holes = holes

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        self._wearer.react(message, at_seconds)

    def frame(self, at_seconds: float) -> Image:
        pose = self._wearer.motion.pose(at_seconds)
        behind = self._wearer.layers(pose, at_seconds)
        # The paper touches the nose, so the eyes are about three centimetres farther from the camera.
        mask = Layer(Cylinder(self._radius), self._texture, pose.moved(z=-3.5), alpha=self._holes)
        return self._wearer.stage.film((*behind, mask), at_seconds)

    def encode(self, image: Image) -> bytes:
        return self._wearer.encode(image)


class ReplayedSession:
    """An earlier live attempt of the victim, injected into the page again.

    It plays each part when the page asks for it. The colours have their earlier order.
    """

    def __init__(self, recording: list[Shot], chance: np.random.Generator) -> None:
        self.camera_label = "Integrated Webcam"
        self._recording = recording
        self._chance = chance
        self._parts = parts(recording)
        self._part = 0
        self._begun_at = 0.0

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        status = message["statusCode"]
        if status == self._parts[self._part][0]:
            return
        wanted = [index for index, (asked, _, _) in enumerate(self._parts) if asked == status]
        if wanted:
            # Take the next such part if there is one, because a gesture can occur twice.
            self._part = next((index for index in wanted if index > self._part), wanted[0])
            self._begun_at = at_seconds

    def frame(self, at_seconds: float) -> Image:
        return self.picture(at_seconds)

    def picture(self, at_seconds: float) -> Image:
        """Return the recorded picture for a time. After its end, a part plays its last second back and forth."""
        _, first, last = self._parts[self._part]
        begin, end = self._recording[first].at_seconds, self._recording[last].at_seconds
        wanted = begin + at_seconds - self._begun_at
        if wanted > end:
            wanted = end - abs((wanted - end + 1.0) % 2.0 - 1.0)
        shot = min(self._recording[first : last + 1], key=lambda shot: abs(shot.at_seconds - wanted))
        # With new noise, a picture that is shown twice has different bytes.
        image = decode_frame(shot.data).astype(np.float32)
        noise = self._chance.standard_normal((60, 80, 3), np.float32)
        image += cv2.resize(noise, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
        return np.asarray(np.clip(image, 0, 255), np.uint8)

    def encode(self, image: Image) -> bytes:
        return encode(image)


def parts(recording: list[Shot]) -> list[tuple[str, int, int]]:
    """Cut a recording at each new instruction into parts (status code, first shot, last shot).

    Guidance belongs to the part that it interrupts.
    """
    asked = {code.value for code in StatusCode if code.startswith("FACE_LIVENESS_")} - {
        StatusCode.FACE_LIVENESS_HOLD_STILL.value
    }
    starts = [("", 0)]
    for index, shot in enumerate(recording):
        if shot.status_code in asked and shot.status_code != starts[-1][0]:
            starts.append((shot.status_code, index))
    ends = [first - 1 for _, first in starts[1:]] + [len(recording) - 1]
    return [(status, first, max(first, last)) for (status, first), last in zip(starts, ends, strict=True)]


class ScreenReplay:
    """A display held before the camera.

    It emits light, hardly reflects the colours of the screen, mirrors a little, and shows moiré. It plays an earlier
    attempt of the victim part by part, or the attacker moves it while it shows a still photo.
    """

    def __init__(self, portrait: Portrait, recording: list[Shot], chance: np.random.Generator) -> None:
        self.camera_label = "Integrated Webcam"
        self._stage = Stage(chance)
        self._video = ReplayedSession(recording, chance) if recording and chance.random() < 0.5 else None
        self._size = float(chance.uniform(0.5, 1.1))
        self._motion = hand(self._stage, chance, self._size)
        self._still = portrait.pixels
        self._glow = float(chance.uniform(0.6, 2.0))
        self._moire = moire(chance)
        # A part of the glass mirrors the screen. Its share of the light is Fresnel's 4 % of about four times the
        # lighting.
        blob = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT // 8, WIDTH // 8)).astype(np.float32), (0, 0), 12)
        blob = cv2.resize(np.clip(blob / (np.abs(blob).max() + 1e-6), 0, 1), (WIDTH, HEIGHT))
        self._mirror = blob * np.float32(chance.uniform(0.0, 0.16))

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        self._stage.shows(message, at_seconds)
        if self._video is not None:
            self._video.react(message, at_seconds)
        else:
            self._motion.react(message, at_seconds)

    def frame(self, at_seconds: float) -> Image:
        pose = self._motion.pose(at_seconds)
        shown = self._still
        if self._video is not None:
            picture = self._video.picture(at_seconds)
            # The display shows the middle of the recording, at a distance where the face has its recorded size. The
            # recording itself contains the approach.
            height, width = picture.shape[:2]
            across = min(width, height * WIDTH // HEIGHT)
            down = across * HEIGHT // WIDTH
            top, left = (height - down) // 2, (width - across) // 2
            middle = picture[top : top + down, left : left + across]
            shown = np.asarray(cv2.resize(middle, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)
            away = self._stage.optics.focal_pixels * WIDTH / PIXELS_PER_CM * self._size / across
            pose = pose.propped(away, up=(BOTTOM_CM - TOP_CM) / 2 * self._size)
        shown = np.asarray(np.clip(shown * self._moire, 0, 255), np.uint8)
        display = Layer(
            Plane(),
            shown,
            pose,
            size=self._size,
            reflectance=0.02,
            glow=self._glow,
            gloss_map=self._mirror,
            reach_cm=24.0 * self._size,
        )
        return self._stage.film((display,), at_seconds)

    def encode(self, image: Image) -> bytes:
        return self._stage.camera.compress(image)


class SwappedPerson:
    """The victim for a part of the attempt, live or as a print, and another live person for the rest.

    In half of the attacks, the first of the two comes back.
    """

    def __init__(self, victim: Portrait, accomplice: Portrait, chance: np.random.Generator) -> None:
        self.camera_label = "Integrated Webcam"
        helper = SimulatedSubject(accomplice, chance)
        shown: Presentation
        if chance.random() < 0.3:
            shown = HeldSheet(victim, Plane(), chance, stage=helper.stage)
        else:
            shown = SimulatedSubject(victim, chance, stage=helper.stage)
            shown.motion = helper.motion
        people: list[Presentation] = [shown, helper]
        chance.shuffle(people)
        self._first, self._second = people
        self._from = float(chance.uniform(0.2, 0.7))
        """The progress of the attempt at which the change happens."""
        self._lasting = float(chance.uniform(0.05, 0.3)) if chance.random() < 0.5 else 1.0
        self._swapped_at: float | None = None
        self._now = self._first

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        for person in (self._first, self._second):
            person.react(message, at_seconds)
        progress = float(message["progress"])
        if self._swapped_at is None and progress >= self._from:
            self._swapped_at = (
                progress  # progress can jump over `_from`, so this shows the other person for at least one frame
            )
        swapped = self._swapped_at is not None and progress < self._swapped_at + self._lasting
        self._now = self._second if swapped else self._first

    def frame(self, at_seconds: float) -> Image:
        return self._now.frame(at_seconds)

    def encode(self, image: Image) -> bytes:
        return self._now.encode(image)


class InjectedStill:
    """One photo injected into the page in place of a camera, zoomed and turned as the page asks.

    Better injections add noise, and tint the face at the same time as the screen changes.
    """

    def __init__(self, portrait: Portrait, chance: np.random.Generator) -> None:
        self.camera_label = "Integrated Webcam"
        self._stage = Stage(chance)
        self._chance = chance
        self._motion = hand(self._stage, chance, 1.0)
        self._light = LINEAR[portrait.pixels] * np.float32(0.8)
        noise = float(chance.choice((0.0, 1.0, 2.5)))
        tinted = str(chance.choice(("nothing", "everything", "face")))
        self._tint = float(chance.uniform(0.15, 0.6)) * (tinted != "nothing")
        self._tint_wall = self._tint if tinted == "everything" else 0.0
        face = cv2.GaussianBlur(head_mask().astype(np.float32) / 255, (0, 0), 4)
        self._where = np.asarray(face if tinted == "face" else np.ones_like(face), np.float32)
        self._cover = np.asarray(np.maximum(face, body_mask().astype(np.float32) / 255), np.float32)
        optics = self._stage.optics
        self._wall = np.sqrt(draw_background(chance, optics.width, optics.height)) * np.float32(255)
        self._noise = np.float32(noise) * chance.standard_normal((optics.height + 64, optics.width + 64, 3), np.float32)

    def react(self, message: Mapping[str, Any], at_seconds: float) -> None:
        self._stage.shows(message, at_seconds)
        self._motion.react(message, at_seconds)

    def frame(self, at_seconds: float) -> Image:
        optics, pose = self._stage.optics, self._motion.pose(at_seconds)
        zoom = optics.focal_pixels / pose.z / PIXELS_PER_CM
        roll = np.radians(pose.roll)
        # A flat picture can only become narrower to imitate a turned head.
        matrix = (
            zoom
            * np.array(((np.cos(roll), -np.sin(roll)), (np.sin(roll), np.cos(roll))))
            @ np.diag((np.cos(np.radians(pose.yaw)), 1.0))
        )
        middle = np.array((LEFT_CM, TOP_CM + 1.0)) * PIXELS_PER_CM
        shift = np.array((optics.width / 2, optics.height / 2)) - matrix @ middle
        shift += np.array((pose.x, pose.y)) * optics.focal_pixels / pose.z
        screen = self._stage.screen(at_seconds)
        light = 1 + self._tint * self._where[..., None] * screen
        lit = cv2.sqrt(np.minimum(self._light * light, 1)) * np.float32(255)
        placing, size = np.column_stack([matrix, shift]), (optics.width, optics.height)
        image = cv2.warpAffine(lit, placing, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.warpAffine(self._cover, placing, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        wall = self._wall * np.sqrt(1 + self._tint_wall * screen)
        image += (1 - cover[..., None]) * (wall - image)
        row, column = self._chance.integers(0, 64, 2)
        noise = self._noise[row : row + optics.height, column : column + optics.width]
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)

    def encode(self, image: Image) -> bytes:
        return encode(image)


def hand(stage: Stage, chance: np.random.Generator, size: float) -> Motion:
    """Return the motion of a hand with an object of this size: that of a head, with more tremor."""
    optics = stage.optics
    return Motion(chance, optics.focal_pixels, (optics.width / 2, optics.height / 2), tremor=1.5, size=size)


def printed(pixels: Image, chance: np.random.Generator) -> Image:
    """Return a picture with the narrower range of ink on paper."""
    black, white = chance.uniform(8, 30), chance.uniform(215, 250)
    return np.asarray(np.clip(black + pixels * ((white - black) / 255), 0, 255), np.uint8)


def head_mask() -> Image:
    """Return the alpha channel of a head that is cut out along its outline."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    centre = round(LEFT_CM * PIXELS_PER_CM), round((TOP_CM - 0.3) * PIXELS_PER_CM)
    cv2.ellipse(mask, centre, (round(7.6 * PIXELS_PER_CM), round(12.0 * PIXELS_PER_CM)), 0, 0, 360, 255, -1)
    return mask


def moire(chance: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the moiré pattern of two grids, as factors that differ from 1 by a few per cent."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle, period = chance.uniform(0, np.pi), chance.uniform(4, 14)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + 6 * np.sin(y / 60)) / period)
    return np.asarray(1 + np.float32(chance.uniform(0.0, 0.06)) * wave[..., None], np.float32)


def encode(image: Image) -> bytes:
    """Compress an injected picture to JPEG."""
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 88))[1])
