"""From photo bytes to pixels. Only this module passes untrusted bytes to an image decoder.

Our own readers check the file's structure first: :mod:`likeness.engine.photo.jpeg`, :mod:`likeness.engine.photo.png`,
and :mod:`likeness.engine.photo.jpeg2000` where the deployment accepts that. They apply the budgets of
:mod:`likeness.engine.photo.header`. They pass only the parts that make pixels to OpenCV (JPEG) or to Pillow (PNG,
JPEG 2000, and JPEG in CMYK). Pillow's pixels are converted to RGB in bands, so that there is no second copy of them.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin

from likeness.engine.base import Image
from likeness.engine.photo import jpeg, jpeg2000, png
from likeness.engine.photo.budget import SHARED, PixelBudget
from likeness.engine.photo.header import Format, Header, Reduction
from likeness.errors import InvalidImage, UnsupportedMediaType

_DECODER_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    cv2.error,
)
_JPEG_MODES: dict[Reduction, int] = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2 ^ cv2.IMREAD_COLOR_BGR | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_COLOR_4 ^ cv2.IMREAD_COLOR_BGR | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_COLOR_8 ^ cv2.IMREAD_COLOR_BGR | cv2.IMREAD_COLOR_RGB,
}
_WHITE = 255
_BAND_PIXELS = 1 << 18


def decode(photo: bytes, *, jpeg_2000: bool = False) -> Image:
    """Decode a JPEG or PNG to an upright RGB image. Above ``header.FINEST_PIXELS``, its sides are halved.

    ``jpeg_2000`` accepts this format, too. Raises UnsupportedMediaType for any other one. Raises InvalidImage for
    damage, decompression bombs and a false header.
    """
    header = read_header(photo, jpeg_2000=jpeg_2000)
    return decode_pixels(header, reduction=header.finest)


def read_header(photo: bytes, *, jpeg_2000: bool = False) -> Header:
    """Detect the format and check the file's structure, without decoding a pixel.

    Raises the errors of :func:`decode`.
    """
    if photo.startswith(jpeg.SIGNATURE):
        return jpeg.read_jpeg_header(photo)
    if photo.startswith(png.SIGNATURE):
        return png.read_png_header(photo)
    if photo.startswith(jpeg2000.SIGNATURES):
        if jpeg_2000:
            return jpeg2000.read_jpeg2000_header(photo)
        raise UnsupportedMediaType("The photo must be a JPEG or PNG file. This server does not accept JPEG 2000.")
    raise UnsupportedMediaType("The photo must be a JPEG or PNG file.")


def decode_pixels(header: Header, *, reduction: Reduction = 1) -> Image:
    """Decode to an upright RGB image with sides ``reduction`` times smaller (rounded up). Raises InvalidImage."""
    try:
        pixels = _PIXELS[header.format](header, reduction)
    except _DECODER_FAULTS:
        raise InvalidImage(f"The {header.format} file is damaged and cannot be decoded.") from None
    return _upright(pixels, header.orientation)


class Picture:
    """A photo's pixels at any reduction, in memory from the shared budget.

    A JPEG of one scan is decoded again for each reduction. A PNG, and a JPEG of several scans, is decoded once, at its
    finest, and then averaged. This is a context manager: do not use its images after the block, which gives their
    memory back at its end.
    """

    def __init__(self, header: Header, budget: PixelBudget = SHARED) -> None:
        self._header = header
        self._budget = budget
        self._taken = 0
        self._finest: Image | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def at(self, reduction: Reduction) -> Image:
        """Return the upright RGB image. This waits for memory, so release the earlier image first.

        Raises InvalidImage.
        """
        header = self._header
        if header.decodes_small:
            self._take(header.bytes_at(reduction))
            return decode_pixels(header, reduction=reduction)
        if self._finest is None:
            self._take(header.bytes_needed)
            self._finest = decode_pixels(header, reduction=header.finest)
        factor = reduction // header.finest
        size = (-(-self._finest.shape[1] // factor), -(-self._finest.shape[0] // factor))
        if factor <= 1:
            return self._finest
        return np.asarray(cv2.resize(self._finest, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _take(self, size: int) -> None:
        self._give_back()  # threads that wait for memory and hold some could wait for each other forever
        self._taken = self._budget.take(size)

    def _give_back(self) -> None:
        self._budget.give_back(self._taken)
        self._taken = 0


def _jpeg_pixels(header: Header, reduction: Reduction) -> Image:
    if header.channels == 4:
        return _ink_pixels(header, reduction)
    pixels = cv2.imdecode(np.frombuffer(header.stream, np.uint8), _JPEG_MODES[reduction])
    if pixels is None:
        raise ValueError("not a whole JPEG file")
    return np.asarray(pixels, np.uint8)


def _ink_pixels(header: Header, reduction: Reduction) -> Image:
    """Decode a CMYK JPEG with Pillow, because OpenCV assumes that all of them are inverted."""

    def shown(band: Pillow.Image) -> Image:
        inks = band if header.inverted else Pillow.fromarray(~np.asarray(band), "CMYK")  # Pillow has inverted them
        return np.asarray(inks.convert("RGB"))

    with JpegImagePlugin.JpegImageFile(io.BytesIO(header.stream)) as picture:
        picture.draft("CMYK", (max(header.width // reduction, 1), max(header.height // reduction, 1)))
        # Pillow reduces both sides by less if one of them has fewer pixels than the reduction.
        sizes = {each: (-(-header.width // each), -(-header.height // each)) for each in _JPEG_MODES}
        done = next(each for each, size in sizes.items() if size == picture.size)
        return _in_bands(picture, reduction // done, shown)


def _png_pixels(header: Header, reduction: Reduction) -> Image:
    def shown(band: Pillow.Image) -> Image:
        if band.mode.startswith("I"):  # 16-bit grey
            grey = np.asarray(band)
            white = (grey == header.transparent[0]) if header.transparent else np.zeros(grey.shape, bool)
            eight = np.where(white, _WHITE, grey >> 8).astype(np.uint8)
            return np.repeat(eight[:, :, None], 3, axis=2)
        if band.mode in {"LA", "RGBA"} or (band.mode == "P" and "transparency" in band.info):
            return _on_white(np.asarray(band.convert("RGBA")))
        pixels = np.asarray(band.convert("RGB"))
        if not header.transparent:
            return pixels
        # Grey has one number for three equal channels. cv2.inRange reads three, even if they are not there.
        bounds = header.transparent * (3 // len(header.transparent))
        white = cv2.inRange(pixels, bounds, bounds)
        return np.asarray(cv2.bitwise_or(pixels, cv2.merge([white] * 3)), np.uint8)

    with PngImagePlugin.PngImageFile(io.BytesIO(header.stream)) as picture:
        return _in_bands(picture, reduction, shown)


def _jpeg2000_pixels(header: Header, reduction: Reduction) -> Image:
    with Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(header.stream)) as picture:
        if picture.mode not in {"L", "RGB"}:
            raise ValueError("neither grey nor RGB")
        return _in_bands(picture, reduction, lambda band: np.asarray(band.convert("RGB")))


_PIXELS: dict[Format, Callable[[Header, Reduction], Image]] = {
    "JPEG": _jpeg_pixels,
    "PNG": _png_pixels,
    "JPEG 2000": _jpeg2000_pixels,
}


def _on_white(layer: NDArray[np.uint8]) -> Image:
    """Place a layer (height, width, 4) with transparency on white paper."""
    darkness = cv2.bitwise_not(cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))
    alpha = cv2.cvtColor(cv2.extractChannel(layer, 3), cv2.COLOR_GRAY2RGB)
    cv2.multiply(darkness, alpha, dst=darkness, scale=1 / _WHITE)
    return np.asarray(cv2.bitwise_not(darkness, dst=darkness), np.uint8)


def _in_bands(picture: Pillow.Image, reduction: int, shown: Callable[[Pillow.Image], Image]) -> Image:
    """Convert a picture to RGB band by band, with its sides divided by ``reduction``."""
    width, height = picture.size
    pixels = np.empty((-(-height // reduction), -(-width // reduction), 3), np.uint8)
    rows = max(_BAND_PIXELS // width // reduction, 1) * reduction
    for top in range(0, height, rows):
        band = shown(picture.crop((0, top, width, min(top + rows, height))))
        if reduction > 1:
            band = np.asarray(Pillow.fromarray(band).reduce(reduction))
        pixels[top // reduction :][: len(band)] = band
    return pixels


def _upright(pixels: Image, orientation: int) -> Image:
    """Undo an EXIF orientation (CIPA DC-008 §4.6.4)."""
    if orientation >= 5:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    across, down = orientation in {2, 3, 6, 7}, orientation in {3, 4, 7, 8}
    if across or down:
        cv2.flip(pixels, -1 if across and down else int(across), dst=pixels)  # in place, to save memory
    return np.ascontiguousarray(pixels)
