"""The portrait of a photo's subject, cut out, turned upright, and scaled as for a passport.

The portrait is three wide and four high. The eyes are a quarter of its width apart, at 0.6 widths from its top, as in
the token image of ISO/IEC 19794-5.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from likeness.engine.alignment import Points, similarity
from likeness.engine.base import Detection, Engine, Image, Quality, Use
from likeness.engine.photo.resampling import shrink
from likeness.engine.policy import FacePolicy
from likeness.engine.subject import enlarge

WIDTH_MAX = 480
_WIDTH_MIN = 60
_EYE_HEIGHT = 0.6
_HEAD = np.array([(-0.5, 0), (0.5, 0), (0, 0.6), (-0.42, 1.1), (0.42, 1.1)], np.float32)
"""The landmarks of an average head, in eye distances from the middle between the eyes."""
_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class CutPortrait:
    """A cut portrait as a JPEG of (width, height) pixels, and the face that it was cut for."""

    jpeg: bytes
    size: tuple[int, int]
    face: Detection
    """In pixels of the upright photo."""
    photo_size: tuple[int, int]
    quality: Quality


def take_portrait(engine: Engine, photo: bytes, *, policy: FacePolicy = FacePolicy.DOCUMENT) -> CutPortrait:
    """Find the subject of a photo and cut its portrait. Quality refuses no photo here.

    Blocks. Raises the errors of :meth:`Engine.locate`.
    """
    subject = engine.locate(photo, policy=policy)
    cut = cut_portrait(subject.image, subject.detection.landmarks)
    quality = engine.measure(subject.image, subject.detection, use=Use.ID_PHOTO)
    _, stored = cv2.imencode(".jpg", cut[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    face = enlarge(subject.detection, subject.reduction)
    return CutPortrait(stored.tobytes(), (cut.shape[1], cut.shape[0]), face, subject.photo_size, quality)


def cut_portrait(image: Image, landmarks: Points, width: int | None = None) -> Image:
    """Cut the portrait of a face with these landmarks (5, 2). Beyond the photo, its edge is repeated.

    By default the portrait has the photo's own scale, but at most ``WIDTH_MAX`` pixels of width.
    """
    upright = similarity(landmarks, _HEAD)
    own_width = 4 / max(float(np.hypot(upright[0, 0], upright[1, 0])), 1e-6)
    width = width or round(min(max(own_width, _WIDTH_MIN), WIDTH_MAX))
    height = round(width * 4 / 3)
    scale = min(2 * width / own_width, 1.0)
    if scale <= 0.5:  # bilinear sampling uses only two pixels each way
        image, landmarks = shrink(image, scale), (landmarks + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    places = _HEAD * np.float32(width / 4) + np.array([(width - 1) / 2, _EYE_HEIGHT * width], np.float32)
    matrix = similarity(landmarks, places)
    cut = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)
