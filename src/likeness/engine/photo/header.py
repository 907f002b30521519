"""A photo's header, which is read before its pixels, and the budgets of memory and time for one photo.

A photo of a few kilobytes can expand to gigabytes. So each photo has these budgets:

- sides: at most ``SIDE_MAX`` pixels;
- pixels: at most ``PIXELS_MAX`` of its format. A JPEG can be decoded at a smaller size, but a PNG cannot;
- decoded pixels: at most ``FINEST_PIXELS``. Larger sides are halved during decoding;
- memory: at most ``BYTES_PER_PIXEL`` for each pixel, and at most ``BYTES_MAX``. Sides are halved where this helps. A
  small photo may take ``BYTES_SMALL``.
"""

from dataclasses import dataclass
from typing import Literal

from likeness.errors import InvalidImage

Reduction = Literal[1, 2, 4, 8]
"""The divisor of each side during decoding."""
Format = Literal["JPEG", "PNG", "JPEG 2000"]

SIDE_MAX = 12_000
PIXELS_MAX: dict[Format, int] = {"JPEG": 8192 * 6144, "PNG": 6144 * 4096, "JPEG 2000": 2048 * 2048}
FINEST_PIXELS = 4096 * 3072
"""The most decoded pixels; no network uses more. A face of 1/64 of the longer side is still 64 pixels wide."""
BYTES_PER_PIXEL = 8
BYTES_MAX = BYTES_PER_PIXEL * PIXELS_MAX["PNG"]
BYTES_SMALL = 64 << 20
_BAND_BYTES = 8 << 20
"""Memory besides the whole picture: a band during its conversion to RGB, and the decoder's tables."""


@dataclass(frozen=True, slots=True)
class Header:
    """A photo's checked header, with a stream of only those parts of the file that make pixels."""

    format: Format
    width: int
    """Columns as stored, before the orientation is applied."""
    height: int
    orientation: int
    """EXIF orientation, 1..8."""
    channels: int
    bits_per_channel: int
    decoder_bytes: int
    """The memory that the decoder needs for the whole photo besides the picture."""
    stream: bytes
    transparent: tuple[int, ...] = ()
    """The transparent colour of a PNG without an alpha channel, in 8 bits. For 16-bit grey it is in 16 bits."""
    inverted: bool = False
    """Whether 255 means no ink in a CMYK JPEG, as an Adobe segment declares."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def decodes_small(self) -> bool:
        """Whether a stronger reduction makes the decoding much quicker. It does for a JPEG of one scan."""
        return self.format == "JPEG" and self.decoder_bytes == 0

    @property
    def finest(self) -> Reduction:
        """The smallest reduction for this photo."""
        fits = self.width * self.height <= FINEST_PIXELS and self.bytes_at(1) <= self._allowance
        return 1 if fits else 2

    @property
    def bytes_needed(self) -> int:
        """The most memory for the decoding and the search of the photo.

        It covers the picture, a turned copy, and the decoder.
        """
        return self.bytes_at(self.finest)

    def bytes_at(self, reduction: Reduction) -> int:
        """Return the most memory that the photo needs if its sides are divided by ``reduction``."""
        pixels = -(-self.width // reduction) * -(-self.height // reduction)
        inks = 4 * pixels if self.format == "JPEG" and self.channels == 4 else 0
        return max(self.decoder_bytes + inks + 3 * pixels, 2 * 3 * pixels) + _BAND_BYTES

    @property
    def _allowance(self) -> int:
        return min(max(BYTES_PER_PIXEL * self.width * self.height, BYTES_SMALL), BYTES_MAX)

    def check_memory(self) -> None:
        """Check the budget of memory. Raises InvalidImage."""
        if self.bytes_needed > self._allowance:
            raise InvalidImage(
                f"The decoding of this {self.format} of {self.width} x {self.height} pixels needs too much memory. "
                "Send a smaller photo, or a baseline JPEG."
            )


def check_size(format: Format, width: int, height: int) -> None:  # noqa: A002 - the usual name
    """Check the budgets of sides and pixels. Raises InvalidImage."""
    if not width or not height:
        raise InvalidImage("The photo has no pixels.")
    if max(width, height) > SIDE_MAX:
        raise InvalidImage(f"The photo has {width} x {height} pixels. Each side may have at most {SIDE_MAX}.")
    most = PIXELS_MAX[format]
    if width * height > most:
        raise InvalidImage(
            f"The photo has {width} x {height} pixels. At most {most // 1_000_000} megapixels are allowed for a "
            f"{format}."
        )
