"""Photo files of every kind. Large ones are made quickly."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image as Pillow

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, interlace: int = 0) -> bytes:
    return _file(width, height, depth, colour, zlib.compress(rows), extra, interlace)


def empty_png(width: int, height: int, depth: int, colour: int, *extra: bytes, interlace: int = 0) -> bytes:
    """Give a PNG whose samples are all 0, with the filter that takes the longest."""
    packed = zlib.compressobj(1)
    body = b""
    for left, top, across, down in ADAM7 if interlace else ((0, 0, 1, 1),):
        row = bytes([4]) + bytes((-(-(width - left) // across) * depth * CHANNELS[colour] + 7) // 8)
        rows = -(-(height - top) // down)
        body += b"".join(packed.compress(row * min(64, rows - first)) for first in range(0, rows, 64))
    return _file(width, height, depth, colour, body + packed.flush(), extra, interlace)


def _file(
    width: int, height: int, depth: int, colour: int, body: bytes, extra: tuple[bytes, ...], interlace: int
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def plain_jpeg(width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, (width, height), 120 if mode == "L" else (120,) * len(mode)).save(out, "JPEG", **options)
    return out.getvalue()


PALETTE = chunk(b"PLTE", bytes(range(6)))


def large_photos() -> Iterator[tuple[str, bytes]]:
    """Give photos at or near the largest size of their kind, by name."""
    most, half = (6144, 4096), (4096, 3072)
    yield "1-bit grey", empty_png(*most, 1, 0)
    yield "palette with transparency", empty_png(*most, 8, 3, PALETTE, chunk(b"tRNS", b"\0\xff"))
    yield "RGB with a transparent colour", empty_png(*half, 8, 2, chunk(b"tRNS", bytes(6)))
    yield "16-bit grey with a transparent colour", empty_png(*most, 16, 0, chunk(b"tRNS", bytes(2)))
    yield "16-bit RGB", empty_png(4096, 4000, 16, 2)
    yield "16-bit RGBA", empty_png(4096, 3000, 16, 6)
    yield "interlaced", empty_png(*most, 8, 2, interlace=1)
    yield "RGBA", empty_png(*half, 8, 6)
    turned = Pillow.Exif()
    turned[0x0112] = 6
    yield "JPEG of a phone held upright", plain_jpeg(8192, 6144, exif=turned)
    yield "progressive JPEG", plain_jpeg(8192, 6144, progressive=True)
    yield "progressive JPEG, full size", plain_jpeg(2700, 2700, progressive=True, subsampling=0)
    yield "progressive JPEG, full colour", plain_jpeg(6000, 4500, progressive=True, subsampling=0)
    yield "JPEG in inks", plain_jpeg(4096, 3072, "CMYK")
