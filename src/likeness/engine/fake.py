"""An engine without weights, for tests, demos and HTTP benchmarks: it finds the faces that :func:`fake_photo` paints.

A face is a square of coloured cells in a frame: green for a live face, red for an attack. A template holds the
square's coarse colours. So the same picture has the same template, and a noisy picture has a similar one. Another
person's template is different. Any other photo that is not of one colour counts as one live face in its middle.

:class:`OtherFakeEngine` is a second pack. Its templates differ and have another size, and it finds no face in attacks.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from likeness.engine.base import (
    Box,
    Detection,
    Face,
    Image,
    LiveScores,
    Quality,
    QualityMeasure,
    Subject,
    Use,
)
from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import ModelPack, PackId
from likeness.engine.photo import decoding as photos
from likeness.engine.policy import FacePolicy
from likeness.engine.subject import choose_subject
from likeness.errors import LowQuality

_CELLS = 8
_FRAME_PIXELS = 6
_LIVE, _ATTACK = (0, 255, 0), (255, 0, 0)
_BACKGROUND = (200, 200, 200)
_DIM_BRIGHTNESS = 40
_LARGE_PIXELS = 4_000_000
"""Larger photos are searched at a quarter of their size; tests paint no faces there."""
_LANDMARKS = np.array([(0.3, 0.35), (0.7, 0.35), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
"""Places (x, y) in fractions of the face's width and height."""


@dataclass(frozen=True, slots=True)
class FakePerson:
    """One painted face: the person, its centre, its width, and its shot (see :func:`fake_photo`).

    The centre is in fractions of the photo's width and height. The width is in fractions of the photo's height.
    """

    person: int
    center: tuple[float, float] = (0.5, 0.5)
    width: float = 0.5
    variation: int = 0
    score: float = 1.0
    dim: bool = False
    attack: bool = False


class FakeShot(TypedDict, total=False):
    """The properties of a shot of a face; see :func:`fake_photo`."""

    variation: int
    score: float
    dim: bool
    attack: bool


def fake_photo(
    person: int,
    *,
    faces: int = 1,
    size: tuple[int, int] = (640, 480),
    format: Literal["JPEG", "PNG"] = "JPEG",  # noqa: A002 - what Pillow calls it
    **shot: Unpack[FakeShot],
) -> bytes:
    """Paint a photo with faces that :class:`FakeEngine` finds.

    - ``variation``: another shot of the same person; it reaches level 5 with the first.
    - ``faces``: 0 paints no face; 2 and more paint strangers of the same size beside the person.
    - ``score``: the comparison score with the person's plain photo, to about 0.02.
    - ``dim``: the face is too dark to use (``UnderExposurePrevention``).
    - ``attack``: the face is a presentation attack, with a PAD score near 0.
    """
    width = 0.5 if faces <= 1 else min(0.5, 0.8 * size[0] / size[1] / faces)
    people = [
        FakePerson(person + index * 1_000_003, ((index + 0.5) / faces, 0.5), width, **shot) for index in range(faces)
    ]
    return fake_scene(people, size=size, format=format)


def fake_scene(
    people: Sequence[FakePerson],
    *,
    size: tuple[int, int] = (640, 480),
    format: Literal["JPEG", "PNG"] = "JPEG",  # noqa: A002 - what Pillow calls it
) -> bytes:
    """Paint any number of faces anywhere on a photo of ``size`` (width, height)."""
    canvas = np.full((size[1], size[0], 3), _BACKGROUND, np.uint8)
    for face in people:
        side = max(int(face.width * size[1]), _CELLS)
        left = int(face.center[0] * size[0] - side / 2)
        top = int(face.center[1] * size[1] - side / 2)
        framed = np.full(
            (side + 2 * _FRAME_PIXELS, side + 2 * _FRAME_PIXELS, 3), _ATTACK if face.attack else _LIVE, np.uint8
        )
        framed[_FRAME_PIXELS:-_FRAME_PIXELS, _FRAME_PIXELS:-_FRAME_PIXELS] = _paint(face, side)
        y, x = max(top - _FRAME_PIXELS, 0), max(left - _FRAME_PIXELS, 0)
        visible = framed[: canvas.shape[0] - y, : canvas.shape[1] - x]
        canvas[y : y + visible.shape[0], x : x + visible.shape[1]] = visible
    stored = io.BytesIO()
    Pillow.fromarray(canvas).save(stored, format, quality=92, subsampling=0)
    return stored.getvalue()


def _paint(face: FakePerson, side: int) -> Image:
    own, other = _pattern(face.person, 7), _pattern(face.person, 13)
    other -= own * (own * other).mean()
    mixed = face.score * own + np.sqrt(1 - face.score**2) * other / other.std()
    if face.variation:
        mixed = mixed + 0.15 * _pattern(face.person, 17 + face.variation)
    cells = np.clip(128 + 36 * mixed, 25, 230)
    if face.dim:
        cells = cells / 8
    return np.asarray(cv2.resize(cells.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)


def _pattern(person: int, kind: int) -> NDArray[np.float64]:
    values = np.random.default_rng((person, kind)).standard_normal((_CELLS, _CELLS, 3))
    values -= values.mean()
    return np.asarray(values / values.std())


class FakeEngine:
    """An engine for painted faces; see the module's docstring. It is deterministic, stateless and thread-safe."""

    pack = ModelPack(PackId("fake"), "1", _CELLS * _CELLS * 3)
    calibration = Calibration(
        thresholds=(0.4, 0.5, 0.6, 0.7, 0.8),
        measured_fmr=(1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        data_set="painted faces; these rates are made up",
        genuine_pairs=0,
        impostor_pairs=0,
    )
    judges_passively = True

    def decode(self, photo: bytes) -> Image:
        return photos.decode(photo)

    def locate(self, photo: bytes, *, policy: FacePolicy = FacePolicy.LARGEST) -> Subject:
        header = photos.read_header(photo)
        large = header.width * header.height > _LARGE_PIXELS
        image = photos.decode_pixels(header, reduction=4 if large else 1)
        height, width = image.shape[:2]
        return Subject(image, choose_subject(self.detect(image), (width, height), policy), 1, (width, height))

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        subject = self.locate(photo, policy=policy)
        quality = self.assess(subject.image, subject.detection, use=use)
        if quality.reasons:
            raise LowQuality("The face is too dark.", reasons=quality.reasons)
        (template,) = self.embed(subject.image, [subject.detection])
        return Face(subject.detection, template, quality, subject.photo_size)

    def detect(
        self,
        image: Image,
        *,
        minimum_face_pixels: float | None = None,
        upright: bool = False,  # noqa: ARG002 - painted faces are always upright
    ) -> list[Detection]:
        height, width = image.shape[:2]
        boxes = _framed_boxes(image)
        if not boxes and image.std() > 8:
            side = min(width, height) * 0.6
            boxes = [Box((width - side) / 2, (height - side) / 2, side, side)]
        wanted = [box for box in boxes if box.width >= (minimum_face_pixels or 0)]
        return [_detection(box) for box in sorted(wanted, key=lambda box: -box.area)]

    def assess(self, image: Image, detection: Detection, *, use: Use) -> Quality:  # noqa: ARG002 - one threshold for every use
        brightness = float(_crop(image, detection.box).mean())
        dark = brightness < _DIM_BRIGHTNESS
        measure = QualityMeasure("UnderExposurePrevention", brightness, 10 if dark else 90)
        return Quality(measure.scalar, (measure,), (measure.name,) if dark else ())

    def measure(self, image: Image, detection: Detection, *, use: Use) -> Quality:
        return self.assess(image, detection, use=use)

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        templates = np.empty((len(detections), FakeEngine.pack.template_size), np.float32)
        for row, detection in zip(templates, detections, strict=True):
            cells = cv2.resize(_crop(image, detection.box), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
            values = cells.astype(np.float32).ravel()
            values -= values.mean()
            row[:] = values / max(float(np.linalg.norm(values)), 1e-6)
        return templates

    def live_scores(self, image: Image, detection: Detection) -> LiveScores:
        box = detection.box
        rim = _FRAME_PIXELS // 2
        x, y = (
            round(min(max(value, 0), limit - 1))
            for value, limit in ((box.x - rim, image.shape[1]), (box.y + box.height / 2, image.shape[0]))
        )
        red, green, _ = (int(value) for value in image[y, x])
        return LiveScores({"fake": 0.02 if red > 180 and green < 90 else 0.98})


class OtherFakeEngine(FakeEngine):
    """A pack other than :class:`FakeEngine`; tests move a gallery to it."""

    pack = ModelPack(PackId("fake-2"), "1", FakeEngine.pack.template_size // 2)

    def detect(
        self, image: Image, *, minimum_face_pixels: float | None = None, upright: bool = False
    ) -> list[Detection]:
        found = super().detect(image, minimum_face_pixels=minimum_face_pixels, upright=upright)
        return [face for face in found if self.live_scores(image, face).by_model["fake"] > 0.5]

    def embed(self, image: Image, detections: Sequence[Detection]) -> NDArray[np.float32]:
        folded = np.diff(super().embed(image, detections).reshape(len(detections), -1, 2), axis=2)[:, :, 0]
        return np.asarray(folded / np.linalg.norm(folded, axis=1, keepdims=True), np.float32)


FAKES: dict[PackId, type[FakeEngine]] = {engine.pack.id: engine for engine in (FakeEngine, OtherFakeEngine)}


def _framed_boxes(image: Image) -> list[Box]:
    red, green, blue = (image[:, :, channel] for channel in range(3))
    frame = (blue < 90) & (((green > 180) & (red < 90)) | ((red > 180) & (green < 90)))
    count, _, shapes, _ = cv2.connectedComponentsWithStats(frame.astype(np.uint8), connectivity=8)
    boxes = []
    for x, y, width, height, area in shapes[1:count]:
        inner_width, inner_height = width - 2 * _FRAME_PIXELS, height - 2 * _FRAME_PIXELS
        outline = width * height - inner_width * inner_height
        if min(inner_width, inner_height) >= _CELLS and abs(area - outline) < 0.2 * outline:
            boxes.append(
                Box(float(x + _FRAME_PIXELS), float(y + _FRAME_PIXELS), float(inner_width), float(inner_height))
            )
    return boxes


def _detection(box: Box) -> Detection:
    landmarks = _LANDMARKS * np.array((box.width, box.height), np.float32) + np.array((box.x, box.y), np.float32)
    return Detection(box, landmarks.astype(np.float32), 0.99)


def _crop(image: Image, box: Box) -> Image:
    left, top = max(round(box.x), 0), max(round(box.y), 0)
    return image[top : max(round(box.y + box.height), top + 1), left : max(round(box.x + box.width), left + 1)]
