"""The structure of a PNG file, which is checked before the decoder gets it.

The result is a stream of only the chunks that make the first picture. It has no animation frames, and no compressed
texts and profiles, which can expand a thousandfold.
"""

import struct
import zlib

from likeness.engine.photo.exif import UPRIGHT, orientation
from likeness.engine.photo.header import PIXELS_MAX, Header, check_size
from likeness.errors import InvalidImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _RGB, _PALETTE = 0, 2, 3
_CHUNK_OVERHEAD_BYTES = 12
_CHUNKS_MAX = 50_000
_DEFLATE_RATIO_MAX = 1032
"""The best ratio of Deflate: a match of 258 bytes takes at least two bits."""
_UNPACKED_BYTES_MAX = 4 * PIXELS_MAX["PNG"]
"""The most bytes after decompression, which takes time. The largest photo may have 4 bytes a pixel. A photo with 8 (16
bits and transparency) may have half as many pixels."""
_PIXEL_BYTES = {1: 1, 2: 4, 3: 4, 4: 4}
"""Pillow's bytes for a pixel, by the number of channels."""


def read_png_header(data: bytes) -> Header:
    """Read the chunks up to IEND. Raises InvalidImage if they are not valid (W3C PNG, third edition, §5)."""
    chunks = _chunks(data)
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise InvalidImage("The PNG file does not start with its header.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise InvalidImage("The PNG file's header is not valid.")
    check_size("PNG", width, height)
    bodies = dict(reversed(chunks))  # the first of each kind
    pixels = [body for kind, body in chunks if kind == b"IDAT"]
    row_bytes = (width * depth * _CHANNELS[colour] + 7) // 8
    if row_bytes * height > _UNPACKED_BYTES_MAX:
        raise InvalidImage(
            f"The PNG file expands to more than {_UNPACKED_BYTES_MAX // 1_000_000} megabytes. Send a smaller photo."
        )
    if row_bytes * height > _DEFLATE_RATIO_MAX * sum(map(len, pixels)):
        raise InvalidImage("The PNG file contains less data than its header declares.")
    if colour == _PALETTE and b"PLTE" not in bodies:
        raise InvalidImage("The PNG file has no palette.")
    kept = [(b"IHDR", chunks[0][1])]
    transparent: tuple[int, ...] = ()
    if colour == _PALETTE:
        kept += [(kind, bodies[kind]) for kind in (b"PLTE", b"tRNS") if kind in bodies]
    elif b"tRNS" in bodies:
        transparent = _transparent_colour(bodies[b"tRNS"], colour, depth)
    kept += [(b"IDAT", b"".join(pixels)), (b"IEND", b"")]
    turned = orientation(bodies[b"eXIf"]) if b"eXIf" in bodies else UPRIGHT
    stream = SIGNATURE + b"".join(_chunk(kind, body) for kind, body in kept)
    held = 2 if (colour, depth) == (_GREY, 16) else _PIXEL_BYTES[_CHANNELS[colour]]
    header = Header(
        "PNG", width, height, turned, _CHANNELS[colour], depth, held * width * height, stream, transparent=transparent
    )
    header.check_memory()
    return header


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    position = len(SIGNATURE)
    while len(chunks) < _CHUNKS_MAX:
        if position + _CHUNK_OVERHEAD_BYTES > len(data):
            raise InvalidImage("The PNG file is incomplete.")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + _CHUNK_OVERHEAD_BYTES + length
        if end > len(data):
            raise InvalidImage("The PNG file is incomplete or damaged.")
        body = data[position + 8 : end - 4]
        # Decoders skip the chunks that they do not need, so only damage in a critical chunk damages the photo.
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
            raise InvalidImage("The PNG file is damaged: a checksum is wrong.")
        if kind == b"IEND":
            return chunks or [(kind, body)]
        chunks.append((kind, body))
        position = end
    raise InvalidImage("The PNG file has too many chunks.")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _transparent_colour(body: bytes, colour: int, depth: int) -> tuple[int, ...]:
    """Return the tRNS colour on the scale of the decoded pixels."""
    count = {_GREY: 1, _RGB: 3}.get(colour)
    if count is None or len(body) < 2 * count:
        return ()
    values = struct.unpack_from(f">{count}H", body)
    if depth == 16:
        return values if colour == _GREY else tuple(value >> 8 for value in values)
    largest = 2**depth - 1
    return tuple((value & largest) * 255 // largest for value in values)  # bits above the depth have no meaning
