"""Photo bytes to pixels: the only place where bytes of strangers meet an image decoder.

The file's structure is checked by our own readers first (:mod:`likeness.engine.jpeg`, :mod:`likeness.engine.png`), which
hand OpenCV (JPEG) and Pillow (PNG) nothing but what makes pixels. Memory stays within a few bytes per pixel of at most 50 megapixels.
"""

import io
import struct
import zlib
from typing import Literal

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import PngImagePlugin

from likeness.engine import jpeg, png
from likeness.engine.base import Image
from likeness.engine.header import Header
from likeness.errors import InvalidImage, UnsupportedMediaType

Reduction = Literal[1, 2, 4, 8]
"""How many times smaller each side is decoded; JPEG files can skip the work for what is not wanted."""

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


def decode(photo: bytes) -> Image:
    """Decode a JPEG or PNG to an upright RGB image at full size.

    Raises UnsupportedMediaType for any other format, InvalidImage for damage, bombs and lies in the header.
    """
    return decode_pixels(read_header(photo))


def read_header(photo: bytes) -> Header:
    """Tell the format from the bytes and check the file's structure, without decoding a pixel. Raises as :func:`decode`."""
    if photo.startswith(jpeg.SIGNATURE):
        return jpeg.read_header(photo)
    if photo.startswith(png.SIGNATURE):
        return png.read_header(photo)
    raise UnsupportedMediaType("The photo must be a JPEG or PNG file.")


def decode_pixels(header: Header, *, reduction: Reduction = 1) -> Image:
    """Decode to an upright RGB image, a JPEG with sides ``reduction`` times smaller (rounded up). Raises InvalidImage."""
    try:
        pixels = _jpeg_pixels(header, reduction) if header.format == "JPEG" else _png_pixels(header)
    except _DECODER_FAULTS:
        raise InvalidImage(f"The {header.format} file is damaged and cannot be decoded.") from None
    return np.ascontiguousarray(_upright(pixels, header.orientation))


def _jpeg_pixels(header: Header, reduction: Reduction) -> Image:
    pixels = cv2.imdecode(np.frombuffer(header.stream, np.uint8), _JPEG_MODES[reduction])
    if pixels is None:
        raise ValueError("not a whole JPEG file")
    return np.asarray(pixels, np.uint8)


def _png_pixels(header: Header) -> Image:
    with PngImagePlugin.PngImageFile(io.BytesIO(header.stream)) as picture:
        picture.load()
        if picture.mode.startswith("I"):  # 16-bit grey
            grey = np.asarray(picture)
            shown = (grey >> 8).astype(np.uint8)
            if header.transparent:
                shown[grey == header.transparent[0]] = _WHITE
            return np.repeat(shown[:, :, None], 3, axis=2)
        if picture.mode in {"LA", "RGBA"} or (picture.mode == "P" and "transparency" in picture.info):
            layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")  # which copies either
            canvas = Pillow.new("RGB", layer.size, (_WHITE, _WHITE, _WHITE))
            canvas.paste(layer, mask=layer.getchannel("A"))
            return np.asarray(canvas)
        pixels = np.array(picture.convert("RGB"))
    if header.transparent:
        pixels[(pixels == np.array(header.transparent, np.uint8)).all(axis=2)] = _WHITE
    return pixels


def _upright(pixels: Image, orientation: int) -> Image:
    """Undo an EXIF orientation (CIPA DC-008 §4.6.4)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels
