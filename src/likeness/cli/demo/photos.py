"""The demo's photos, from two public packages, which are read as folders of files and never imported.

scikit-image has a NASA portrait (public domain). insightface has the group photo of its documentation. Each person is
in one photo only. So "the same person" is a copy of that photo: cropped, relit, blurred, turned or recompressed. The
table names the change.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.errors import SetupError

PORTRAIT = ("skimage", "data/astronaut.png")
GROUP = ("insightface", "data/images/t1.jpg")
NOBODY = ("skimage", "data/coffee.png")
GROUP_FACES = {  # left, top, width, height of a face in the group photo
    "woman with cards": (61, 268, 107, 129),
    "woman standing": (267, 151, 105, 127),
    "man in grey": (466, 267, 102, 145),
    "man laughing": (749, 352, 99, 123),
    "man standing": (906, 58, 99, 144),
    "blonde woman": (1126, 273, 95, 124),
}
MARGIN = 0.75
"""The margin around a face in its portrait, as a fraction of the face's size."""


@dataclass(frozen=True, slots=True)
class DemoPhotos:
    """Encoded photos."""

    astronaut: bytes
    astronaut_again: dict[str, bytes]
    people: dict[str, bytes]
    group: bytes
    nobody: bytes


def load_photos() -> DemoPhotos:
    """Read the photos. Raises SetupError when the packages are not installed."""
    portrait = _read(PORTRAIT)
    group = _read(GROUP)
    people = {name: _encode(_cut(group, *box)) for name, box in GROUP_FACES.items()}
    again = {name: _encode(retake(portrait)) for name, retake in RETAKES.items()}
    again["recompressed"] = _encode(portrait, quality=20)
    return DemoPhotos(_encode(portrait, quality=95), again, people, _encode(group), _encode(_read(NOBODY)))


def _relit(image: Image) -> Image:
    """Make the photo darker and warmer, with light from the left."""
    ramp = np.linspace(1.15, 0.45, image.shape[1], dtype=np.float32)[None, :, None]
    return _pixels(np.clip(image * ramp * np.array([0.85, 0.95, 1.05], np.float32), 0, 255))


def _turned(image: Image) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 1.0)
    return _pixels(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))


RETAKES: dict[str, Callable[[Image], Image]] = {
    "cropped": lambda image: _pixels(image[20:260, 110:350]),
    "relit": _relit,
    "blurred": lambda image: _pixels(cv2.GaussianBlur(image, (0, 0), 1.6)),
    "turned by 12°": _turned,
    "on its side": lambda image: _pixels(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)),
}


def _read(place: tuple[str, str]) -> Image:
    package, path = place
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SetupError(f"the demo's photos ship in the package {package!r}: install the extra likeness-server[demo]")
    image = cv2.imread(str(Path(found.origin).parent / path), cv2.IMREAD_COLOR)
    if image is None:
        raise SetupError(f"the package {package!r} has no readable {path}; install the version in uv.lock")
    return _pixels(image)


def _cut(image: Image, left: int, top: int, width: int, height: int) -> Image:
    x, y = int(width * MARGIN), int(height * MARGIN)
    return image[max(top - y, 0) : top + height + y, max(left - x, 0) : left + width + x]


def _encode(image: Image, quality: int = 90) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _pixels(image: object) -> Image:
    return np.asarray(image, np.uint8)
