"""The structure of a JPEG 2000 file, as the chips of passports and ID cards hold it, checked before it is decoded.

Only what such portraits use is let in: one grey or RGB picture of 8 bits, without subsampling, whose tiles all follow
the main header. A file of a few kilobytes can name millions of precincts, code-blocks or packets, and each costs the
decoder memory and time. So all of them are counted first. The result is the codestream alone, without the boxes of the
file around it.

Source: ITU-T T.800 (ISO/IEC 15444-1), annexes A, B and I.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from likeness.engine.photo.exif import UPRIGHT
from likeness.engine.photo.header import Header, check_size
from likeness.errors import InvalidImage

CODESTREAM = b"\xff\x4f\xff\x51"
SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
SIGNATURES = (SIGNATURE, CODESTREAM)

_SIZ, _COD, _SOT, _SOD = 0xFF51, 0xFF52, 0xFF90, 0xFF93
_KEPT = {_SIZ, _COD, 0xFF5C, 0xFF5D, 0xFF64}
"""Size, coding style, quantisation (of all components, of one) and comment. Others change what was counted, or are
never in a portrait."""
_IN_A_TILE = {0xFF58, 0xFF64}
"""Lengths of packets, and comments."""
_TILE, _END = b"\xff\x90", b"\xff\xd9"
_SEGMENTS_MAX, _TILES_MAX, _LEVELS_MAX, _BOXES_MAX = 64, 256, 8, 64
_PACKETS_MAX, _BLOCKS_MAX = 20_000, 50_000
_BYTES_MAX = 3 << 20
"""The decoding takes some 0.12 ms for each thousand bytes."""
_BYTES_PER_SAMPLE = 12
"""OpenJPEG's memory: samples of 32 bits for the tile and for the picture, and the data of the code-blocks."""
_PIXELS_PER_BYTE = 2048
_COLOURS = {16: 3, 17: 1}
"""The number of components of sRGB and of grey (ITU-T T.800 table I.10)."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """The picture's size (annex A.5.1). Its corner may be away from the origin of the reference grid."""

    left: int
    top: int
    right: int
    bottom: int
    tile_width: int
    tile_height: int
    tile_left: int
    tile_top: int
    components: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    @property
    def tiles(self) -> int:
        across = -(-(self.right - self.tile_left) // self.tile_width)
        return across * -(-(self.bottom - self.tile_top) // self.tile_height)


def read_jpeg2000_header(data: bytes) -> Header:
    """Read the main header and the headers of the tiles.

    Raises InvalidImage if they are not valid, use what no portrait needs, or exceed a budget.
    """
    code = _codestream(data) if data.startswith(SIGNATURE) else data
    segments, start = _main_header(code)
    if segments[0][0] != _SIZ or sum(marker == _COD for marker, _ in segments) != 1:
        raise _damaged()
    picture = _picture(segments[0][1])
    width, height = picture.size
    check_size("JPEG 2000", width, height)
    if picture.tiles > _TILES_MAX:
        raise InvalidImage("The JPEG 2000 file has too many tiles.")
    _check_coding(next(body for marker, body in segments if marker == _COD), picture)
    if width * height > _PIXELS_PER_BYTE * (len(code) - start):
        raise InvalidImage("The JPEG 2000 file contains less data than its header declares.")
    end = _check_tiles(code, start, picture.tiles)
    if end > _BYTES_MAX:
        raise InvalidImage(f"A JPEG 2000 file may have at most {_BYTES_MAX >> 20} MiB.")
    samples = width * height * picture.components
    header = Header("JPEG 2000", width, height, UPRIGHT, picture.components, 8, _BYTES_PER_SAMPLE * samples, code[:end])
    header.check_memory()
    return header


def _codestream(data: bytes) -> bytes:
    """Find the codestream in the boxes of a JP2 file (annex I)."""
    for kind, body in _boxes(data):
        if kind == b"jp2h":
            _check_boxes(body)
        elif kind == b"jp2c":
            if not body.startswith(CODESTREAM):
                raise _damaged()
            return body
    raise _damaged()


def _check_boxes(body: bytes) -> None:
    for kind, content in _boxes(body):
        if kind == b"pclr":
            raise InvalidImage("A JPEG 2000 file with a palette is not supported.")
        if kind == b"colr" and content[:1] == b"\1" and int.from_bytes(content[3:7], "big") not in _COLOURS:
            raise InvalidImage("The JPEG 2000 file is neither grey nor RGB.")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    for _ in range(_BOXES_MAX):
        if position == len(data):
            return
        (length,) = _unpack(">I", data, position)
        kind, start = data[position + 4 : position + 8], position + 8
        if length == 1:
            (length,) = _unpack(">Q", data, start)
            start += 8
        end = len(data) if length == 0 else position + length
        if not start <= end <= len(data):
            raise _damaged()
        yield kind, data[start:end]
        position = end
    raise InvalidImage("The JPEG 2000 file has too many boxes.")


def _main_header(code: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Give (marker, body) of the main header's segments, and the place of the first tile."""
    segments: list[tuple[int, bytes]] = []
    position = 2
    for _ in range(_SEGMENTS_MAX):
        marker, length = _unpack(">HH", code, position)
        if marker == _SOT and segments:
            return segments, position
        if marker not in _KEPT:
            raise InvalidImage("This kind of JPEG 2000 is not supported.")
        end = position + 2 + length
        if length < 2 or end > len(code):
            raise _damaged()
        segments.append((marker, code[position + 4 : end]))
        position = end
    raise InvalidImage("The JPEG 2000 file has too many segments.")


def _picture(body: bytes) -> _Picture:
    _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = _unpack(">H8IH", body, 0)
    if not (
        left < right and top < bottom and tile_left <= left and tile_top <= top and tile_width and tile_height
    ) or not (tile_left + tile_width > left and tile_top + tile_height > top):
        raise _damaged()
    if components not in _COLOURS.values():
        raise InvalidImage("The JPEG 2000 file is neither grey nor RGB.")
    if body[36:] != b"\x07\1\1" * components:
        raise InvalidImage("A JPEG 2000 file must have 8 bits for each sample, and as many samples as pixels.")
    return _Picture(left, top, right, bottom, tile_width, tile_height, tile_left, tile_top, components)


def _check_coding(body: bytes, picture: _Picture) -> None:
    """Bound the numbers of packets and code-blocks in all tiles together (annexes A.6.1 and B)."""
    style, _, layers, _, levels, block_across, block_down, block_style = _unpack(">BBHBBBBB", body, 0)
    sizes = body[10:] if style & 1 else b"\xff" * (levels + 1)
    if (
        style & ~0b111
        or block_style & ~0b111111
        or not layers
        or levels > _LEVELS_MAX
        or len(sizes) != levels + 1
        or max(block_across, block_down) > 8
        or block_across + block_down > 8
    ):
        raise InvalidImage("This kind of JPEG 2000 is not supported.")
    packets = blocks = 0
    for resolution, exponents in enumerate(sizes):
        bands, halving = (3, 1) if resolution else (1, 0)
        packet_count = block_count = picture.components * picture.tiles
        for tile, side, exponent, block in zip(
            (picture.tile_width, picture.tile_height),
            picture.size,
            (exponents & 15, exponents >> 4),
            (block_across, block_down),
            strict=True,
        ):
            # A tile may begin within a precinct, and end in another one. A code-block is not larger than its precinct.
            length = (min(tile, side) >> (levels - resolution)) + 1
            packet_count *= (length >> exponent) + 2
            block_count *= (length >> halving >> max(min(block + 2, exponent - halving), 0)) + 2
        packets += layers * packet_count
        blocks += bands * block_count
    if packets > _PACKETS_MAX or blocks > _BLOCKS_MAX:
        raise InvalidImage("The JPEG 2000 file has too many parts.")


def _check_tiles(code: bytes, position: int, tiles: int) -> int:
    """Walk the tiles' parts, whose headers may not change the coding. Give the end of the last one."""
    for _ in range(4 * tiles):
        marker, length, tile, size = _unpack(">HHHI", code, position)
        if marker != _SOT or length != 10 or tile >= tiles:
            raise _damaged()
        end = position + size if size else len(code)
        if not position + 14 <= end <= len(code) + 2:
            raise _damaged()
        _check_tile_header(code, position + 12)
        position = min(end, len(code))
        following = code[position : position + 2]
        if following != _TILE:
            return position + len(following) if following == _END else position
    raise InvalidImage("The JPEG 2000 file has too many parts.")


def _check_tile_header(code: bytes, position: int) -> None:
    for _ in range(_SEGMENTS_MAX):
        (marker,) = _unpack(">H", code, position)
        if marker == _SOD:
            return
        if marker not in _IN_A_TILE:
            raise InvalidImage("This kind of JPEG 2000 is not supported.")
        (length,) = _unpack(">H", code, position + 2)
        position += 2 + max(length, 2)
    raise InvalidImage("The JPEG 2000 file has too many segments.")


def _damaged() -> InvalidImage:
    return InvalidImage("The JPEG 2000 file is incomplete or damaged.")


def _unpack(layout: str, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error:
        raise _damaged() from None
