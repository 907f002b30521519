"""Treatments of photos. Each turns a good photo into one that is rotated, blurred, dark, covered or otherwise bad.

Lengths are in eye distances, so that the treatment does not depend on the photo's size. The number in a blur's name is
in pixels for an eye distance of 42 pixels, as in Labeled Faces in the Wild.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import Points
from likeness.engine.base import Image

Treatment = Callable[[Image, Points, np.random.Generator], Image]
"""Returns a treated copy of an upright photo. It takes the photo, its face's five landmarks (5, 2) and a random
generator."""

AS_IT_IS = "as it is"
_EYES_APART = 42
"""The eye distance, in pixels, that the names of blurs refer to."""
_FACE = np.array([(-0.5, 0), (0.5, 0), (0, 0.6), (-0.42, 1.1), (0.42, 1.1)], np.float32)
"""The five landmarks of an average face, in eye distances from the middle between the eyes."""
MASK = ((-0.95, 0.4), (0, 0.22), (0.95, 0.4), (0.85, 1.2), (0.45, 1.65), (0, 1.75), (-0.45, 1.65), (-0.85, 1.2))
_LIGHT, _DARK, _BLACK, _GREY = (205, 216, 222), (38, 40, 46), (14, 14, 16), (128, 128, 128)
_LENS = (0.42, 0.33)
_CANVAS_BORDER = cv2.BORDER_REPLICATE


def turned(image: Image, _: Points, __: np.random.Generator, *, degrees: float) -> Image:
    """Turn clockwise, on a canvas that contains the whole photo."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, -round(degrees / 90)))
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, high = round(width * cosine + height * sine), round(width * sine + height * cosine)
    matrix[:, 2] += ((wide - width) / 2, (high - height) / 2)
    return _image(cv2.warpAffine(image, matrix, (wide, high), flags=cv2.INTER_CUBIC, borderMode=_CANVAS_BORDER))


def blurred(image: Image, landmarks: Points, _: np.random.Generator, *, pixels: float) -> Image:
    """Blur as a lens out of focus, with a Gaussian."""
    return _image(cv2.GaussianBlur(image, (0, 0), pixels * between_the_eyes(landmarks) / _EYES_APART))


def moved(image: Image, landmarks: Points, generator: np.random.Generator, *, pixels: float) -> Image:
    """Blur along a line with a random direction."""
    length = max(pixels * between_the_eyes(landmarks) / _EYES_APART, 1.0)
    side = 2 * int(np.ceil(length / 2)) + 1
    angle = generator.uniform(0, np.pi)
    kernel = np.zeros((side, side), np.float32)
    steps = np.linspace(-length / 2, length / 2, 8 * side)
    columns, rows = steps * np.cos(angle) + side // 2, steps * np.sin(angle) + side // 2
    np.add.at(kernel, (np.rint(rows).astype(int), np.rint(columns).astype(int)), 1)
    return _image(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=_CANVAS_BORDER))


def exposed(image: Image, _: Points, generator: np.random.Generator, *, times: float) -> Image:
    """Multiply the linear light by ``times``. A darker photo also has the sensor's noise."""
    light = (image.astype(np.float32) / 255) ** 2.2 * times
    if times < 1:
        light = light + generator.normal(0, 1, image.shape).astype(np.float32) * np.sqrt(light.clip(0) / 4000 + 4e-8)
    return _image(255 * light.clip(0, 1) ** (1 / 2.2))


def noisy(image: Image, _: Points, generator: np.random.Generator, *, grey_levels: float) -> Image:
    """Add Gaussian noise with a standard deviation of ``grey_levels`` (of 255)."""
    return _image(image + generator.normal(0, grey_levels, image.shape))


def small(image: Image, landmarks: Points, _: np.random.Generator, *, eyes_apart: float) -> Image:
    """Resize to an eye distance of ``eyes_apart`` pixels."""
    return _resized(image, eyes_apart / between_the_eyes(landmarks), eyes_apart / between_the_eyes(landmarks))


def pixelated(image: Image, landmarks: Points, generator: np.random.Generator, *, eyes_apart: float) -> Image:
    """Reduce to an eye distance of ``eyes_apart`` pixels, then enlarge to the old size without interpolation."""
    few = small(image, landmarks, generator, eyes_apart=eyes_apart)
    return _image(cv2.resize(few, image.shape[1::-1], interpolation=cv2.INTER_NEAREST))


def compressed(image: Image, _: Points, __: np.random.Generator, *, quality: int) -> Image:
    """Compress as a JPEG of the given quality."""
    stored = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])


def covered(
    image: Image,
    landmarks: Points,
    generator: np.random.Generator,
    *,
    mask: Sequence[int] | None = None,
    glasses: Sequence[int] | None = None,
) -> Image:
    """Draw a mask over nose and mouth, or dark glasses over the eyes, or both, with some shading."""
    shapes: list[tuple[NDArray[np.float64], Sequence[int]]] = []
    if glasses is not None:
        for middle in (-0.5, 0.5):
            turn = np.linspace(0, 2 * np.pi, 40)
            lens = np.stack([middle + _LENS[0] * np.cos(turn), 0.04 + _LENS[1] * np.sin(turn)], axis=1)
            shapes.append((lens, glasses))
        shapes.append((np.array([(-0.1, -0.06), (0.1, -0.06), (0.1, 0.02), (-0.1, 0.02)]), glasses))
    if mask is not None:
        shapes.append((np.array(MASK), mask))
    return painted(image, landmarks, generator, shapes)


def painted(
    image: Image,
    landmarks: Points,
    generator: np.random.Generator,
    shapes: Sequence[tuple[NDArray[np.float64], Sequence[int]]],
    *,
    grain: float = 3,
) -> Image:
    """Fill outlines with their colours, some shading and a grain.

    Outlines are in eye distances from the middle between the eyes.
    """
    drawn, to_photo = image.copy(), _affine(_FACE, landmarks)
    for outline, colour in shapes:
        _fill(drawn, outline, to_photo, colour)
    paint = (drawn != image).any(axis=2, keepdims=True)
    shade = cv2.resize(generator.uniform(0.85, 1.1, (4, 4)), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    cloth = drawn * shade[:, :, None] + generator.normal(0, grain, (*image.shape[:2], 1))
    return _image(np.where(paint, cloth, image))


def negative(image: Image, _: Points, __: np.random.Generator) -> Image:
    """Invert each channel, as in a photographic negative."""
    return 255 - image


def mirrored(image: Image, _: Points, __: np.random.Generator) -> Image:
    """Swap left and right."""
    return np.ascontiguousarray(image[:, ::-1])


def grey(image: Image, _: Points, __: np.random.Generator) -> Image:
    """Remove the colour. The image keeps three channels."""
    return np.repeat(_image(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[:, :, None], 3, axis=2)


def stretched(image: Image, _: Points, __: np.random.Generator, *, width: float) -> Image:
    """Multiply the width by ``width`` and keep the height."""
    return _resized(image, width, 1.0)


def half_hidden(image: Image, landmarks: Points, _: np.random.Generator) -> Image:
    """Hide the part to the left of the nose."""
    hidden = image.copy()
    half = np.array([(-3, -4), (0, -4), (0, 5), (-3, 5)])
    _fill(hidden, half, _affine(_FACE, landmarks), _GREY)
    return hidden


def cut_at_the_temple(image: Image, landmarks: Points, _: np.random.Generator) -> Image:
    """Cut the photo just beside the eye on its left."""
    left = min(max(int(landmarks[0, 0] - 0.12 * between_the_eyes(landmarks)), 0), image.shape[1] - 1)
    return np.ascontiguousarray(image[:, left:])


def fax(image: Image, landmarks: Points, generator: np.random.Generator) -> Image:
    """Keep one bit of each pixel: above or below the face's median."""
    plain = grey(image, landmarks, generator)
    left, top = (max(int(value), 0) for value in landmarks.min(axis=0) - 0.4 * between_the_eyes(landmarks))
    right, bottom = (int(value) for value in landmarks.max(axis=0) + 0.4 * between_the_eyes(landmarks))
    face = plain[top : max(bottom, top + 1), left : max(right, left + 1)]
    middle = float(np.median(face)) if face.size else 128.0
    return np.where(plain > middle, 255, 0).astype(np.uint8)


def _as_it_is(image: Image, _: Points, __: np.random.Generator) -> Image:
    return image


def _table() -> dict[str, Treatment]:
    table: dict[str, Treatment] = {AS_IT_IS: _as_it_is}
    table |= {f"turned {angle}": partial(turned, degrees=angle) for angle in range(15, 360, 15)}
    table |= {f"blur {pixels}": partial(blurred, pixels=pixels) for pixels in range(1, 8)}
    table |= {f"motion {pixels}": partial(moved, pixels=pixels) for pixels in (7, 10, 13)}
    table |= {f"dark 1/{part}": partial(exposed, times=1 / part) for part in (4, 10, 20, 40)}
    table |= {f"bright x{times}": partial(exposed, times=times) for times in (2, 4, 8)}
    table |= {f"noise {levels}": partial(noisy, grey_levels=levels) for levels in (15, 30, 60)}
    table |= {f"small {pixels}": partial(small, eyes_apart=pixels) for pixels in (24, 16, 12, 10)}
    table |= {f"pixelated {pixels}": partial(pixelated, eyes_apart=pixels) for pixels in (10, 7, 5)}
    table |= {f"jpeg {quality}": partial(compressed, quality=quality) for quality in (30, 15, 8, 4)}
    table |= {
        "mask": partial(covered, mask=_LIGHT),
        "dark mask": partial(covered, mask=_DARK),
        "dark glasses": partial(covered, glasses=_BLACK),
        "mask and glasses": partial(covered, mask=_LIGHT, glasses=_BLACK),
        "dark mask and glasses": partial(covered, mask=_DARK, glasses=_BLACK),
        "negative": negative,
        "mirrored": mirrored,
        "grey": grey,
    }
    table |= {f"width x{width}": partial(stretched, width=width) for width in (0.5, 0.7, 1.4, 2.2)}
    return table | {"half hidden": half_hidden, "cut at the temple": cut_at_the_temple, "fax": fax}


TREATMENTS: Mapping[str, Treatment] = MappingProxyType(_table())
"""The treatments by name, in the order of the table. The first does not change the photo."""


def between_the_eyes(landmarks: Points) -> float:
    """Return the distance between the eyes in pixels, at least 1."""
    return max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 1.0)


def _affine(source: Points, target: Points) -> NDArray[np.float64]:
    """Return the (3, 2) matrix that fits rows (x, y, 1) of ``source`` to ``target`` in least squares.

    An affine matrix also fits a turned head.
    """
    rows = np.hstack([source, np.ones((len(source), 1))])
    solved: NDArray[np.float64] = np.linalg.lstsq(rows, target.astype(np.float64), rcond=None)[0]
    return solved


def _fill(image: Image, outline: NDArray[np.float64], to_photo: NDArray[np.float64], colour: Sequence[int]) -> None:
    points = np.hstack([outline, np.ones((len(outline), 1))]) @ to_photo
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], tuple(colour), lineType=cv2.LINE_AA, shift=4)


def _resized(image: Image, across: float, down: float) -> Image:
    size = max(round(image.shape[1] * across), 1), max(round(image.shape[0] * down), 1)
    shrinking = across < 1 or down < 1
    return _image(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC))


def _image(pixels: NDArray[np.generic]) -> Image:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    return np.rint(np.asarray(pixels, np.float64)).clip(0, 255).astype(np.uint8)
