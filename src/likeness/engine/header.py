"""What a photo says of itself before its pixels are decoded."""

from dataclasses import dataclass
from typing import Literal

from likeness.errors import InvalidImage

PIXELS_MAX = 50_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """A photo's checked header, and the stream of those of its parts that make pixels."""

    format: Literal["JPEG", "PNG"]
    width: int
    """Columns as stored, before the orientation is applied."""
    height: int
    orientation: int
    """EXIF orientation, 1..8."""
    channels: int
    bits_per_channel: int
    stream: bytes
    transparent: tuple[int, ...] = ()
    """The one colour that a PNG without an alpha channel declares transparent, in 8 bits (grey at 16 bits: in 16)."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def check_size(width: int, height: int) -> None:
    if not width or not height:
        raise InvalidImage("The photo has no pixels.")
    if width * height > PIXELS_MAX:
        raise InvalidImage(
            f"The photo has {width} x {height} pixels; at most {PIXELS_MAX // 1_000_000} megapixels are accepted."
        )
