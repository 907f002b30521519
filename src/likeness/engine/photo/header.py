"""What a photo says of itself before its pixels are decoded, and the budgets that it is held to.

A photo of some kilobytes can unfold to gigabytes. The budgets bound the memory and the time that any photo costs:

- sides: at most ``SIDE_MAX`` pixels;
- pixels: ``PIXELS_MAX`` of its format (a JPEG can be decoded smaller, which costs less; a PNG cannot);
- decoded: at most ``FINEST_PIXELS`` come out, larger sides are halved on the way;
- memory: ``BYTES_PER_PIXEL`` and at most ``BYTES_MAX``; sides are halved where that helps. A small photo may take
  ``BYTES_SMALL``.
"""

from dataclasses import dataclass
from typing import Literal

from likeness.errors import InvalidImage

Reduction = Literal[1, 2, 4, 8]
"""How many times smaller each side is decoded."""
Format = Literal["JPEG", "PNG"]

SIDE_MAX = 12_000
PIXELS_MAX: dict[Format, int] = {"JPEG": 8192 * 6144, "PNG": 6144 * 4096}
FINEST_PIXELS = 4096 * 3072
"""What no network sees more in: a face of a 64th of the longer side is still 64 pixels wide."""
BYTES_PER_PIXEL = 8
BYTES_MAX = BYTES_PER_PIXEL * PIXELS_MAX["PNG"]
BYTES_SMALL = 64 << 20
_BAND_BYTES = 8 << 20
"""What is at work beside the whole: a band on its way to RGB, the decoder's own tables."""


@dataclass(frozen=True, slots=True)
class Header:
    """A photo's checked header, and the stream of those of its parts that make pixels."""

    format: Format
    width: int
    """Columns as stored, before the orientation is applied."""
    height: int
    orientation: int
    """EXIF orientation, 1..8."""
    channels: int
    bits_per_channel: int
    decoder_bytes: int
    """What the decoder holds of the whole photo beside the picture that it gives."""
    stream: bytes
    transparent: tuple[int, ...] = ()
    """The one colour that a PNG without an alpha channel declares transparent, in 8 bits (grey at 16 bits: in 16)."""
    inverted: bool = False
    """Whether a CMYK JPEG counts ink from 255 down, as Adobe's programs write it and say."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def finest(self) -> Reduction:
        """The least reduction that the photo is decoded at."""
        fits = self.width * self.height <= FINEST_PIXELS and self.bytes_at(1) <= self._allowance
        return 1 if fits else 2

    @property
    def bytes_needed(self) -> int:
        """The memory that decoding and searching the photo takes at most.

        Its picture, a turned copy, and what the decoder holds.
        """
        return self.bytes_at(self.finest)

    def bytes_at(self, reduction: Reduction) -> int:
        """Give the memory that the photo takes at most, decoded with sides ``reduction`` times smaller."""
        pixels = -(-self.width // reduction) * -(-self.height // reduction)
        inks = 4 * pixels if self.format == "JPEG" and self.channels == 4 else 0
        return max(self.decoder_bytes + inks + 3 * pixels, 2 * 3 * pixels) + _BAND_BYTES

    @property
    def _allowance(self) -> int:
        return min(max(BYTES_PER_PIXEL * self.width * self.height, BYTES_SMALL), BYTES_MAX)

    def check_memory(self) -> None:
        """Hold the photo to the budget of memory. Raises InvalidImage."""
        if self.bytes_needed > self._allowance:
            raise InvalidImage(
                f"Decoding this {self.format} of {self.width} x {self.height} pixels takes too much memory: "
                "send it smaller, or as a baseline JPEG."
            )


def check_size(format: Format, width: int, height: int) -> None:  # noqa: A002 - what it is called
    """Hold a photo to the budgets of sides and pixels. Raises InvalidImage."""
    if not width or not height:
        raise InvalidImage("The photo has no pixels.")
    if max(width, height) > SIDE_MAX:
        raise InvalidImage(f"The photo has {width} x {height} pixels; at most {SIDE_MAX} a side are accepted.")
    most = PIXELS_MAX[format]
    if width * height > most:
        raise InvalidImage(
            f"The photo has {width} x {height} pixels; at most {most // 1_000_000} megapixels are accepted of a "
            f"{format}."
        )
