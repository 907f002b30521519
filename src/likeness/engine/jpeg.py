"""The structure of a JPEG file, read before any decoder sees it.

What comes out is a stream of the segments that make pixels: no thumbnails, no colour profiles, no second pictures, so
that nothing hidden in them can cost memory or time.
"""

import re
import struct
from collections.abc import Iterator

from likeness.engine.exif import UPRIGHT, orientation
from likeness.engine.header import Header, check_size
from likeness.errors import InvalidImage

SIGNATURE = b"\xff\xd8\xff"

_SOF_DECODABLE = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, all Huffman coded
_SOF = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, restarts and a second start of image
_EOI, _SOS = 0xD9, 0xDA
_APP1, _APP14 = 0xE1, 0xEE
_KEPT = {
    0xC4,
    0xDB,
    0xDD,
    0xE0,
    _APP14,
    *_SOF,
}  # Huffman and quantisation tables, restarts, JFIF, Adobe's colour transform
_EXIF = b"Exif\0\0"
_START_OF_SCAN = b"\xff\xda"

_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_PIXELS_PER_BYTE = 512
"""Each block of 64 samples costs at least one bit in its first scan."""
_SCANS_MAX = 100
_SCANNED_PIXELS_MAX = 1_000_000_000
"""A progressive file may pass over all its pixels once per scan; a few kilobytes must not buy minutes of work."""


def read_header(data: bytes) -> Header:
    """Walk the segments up to the first scan. Raises InvalidImage where they make no sense."""
    frame: tuple[int, int, int] | None = None
    turned = UPRIGHT
    kept = [b"\xff\xd8"]
    segments = _Segments(data)
    for marker, segment in segments:
        if marker in _SOF:
            if frame is not None:
                raise InvalidImage("The JPEG file has two frame headers.")
            frame = _frame(marker, segment[2:])
        elif marker == _APP1 and segment[2:].startswith(_EXIF) and turned == UPRIGHT:
            turned = orientation(segment[2 + len(_EXIF) :])
        if marker in _KEPT:
            kept += (bytes((0xFF, marker)), segment)
    if frame is None:
        raise InvalidImage("The JPEG file has no frame header.")
    height, width, components = frame
    check_size(width, height)
    end = _check_scans(data, segments.scan_start, width * height)
    kept.append(data[segments.scan_start : end])
    return Header("JPEG", width, height, turned, components, 8, b"".join(kept))


class _Segments:
    """The marker segments before the first scan: (marker, the segment from its length on)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.scan_start = len(data)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        position = 2
        while True:
            marker, position = _next_marker(self._data, position)
            if marker == _EOI:
                raise InvalidImage("The JPEG file ends before its first scan.")
            if marker in _STANDALONE:
                continue
            (length,) = _unpack(">H", self._data, position)
            if length < 2 or position + length > len(self._data):
                raise InvalidImage("The JPEG file is cut off or damaged.")
            if marker == _SOS:
                self.scan_start = position - 2
                return
            yield marker, self._data[position : position + length]
            position += length


def _check_scans(data: bytes, start: int, pixels: int) -> int:
    """See to it that decoding takes a bounded time; gives where the image ends at the latest."""
    if pixels > _PIXELS_PER_BYTE * (len(data) - start):
        raise InvalidImage("The JPEG file holds less data than its header claims.")
    scans, end = data.count(_START_OF_SCAN, start), len(data)
    most = min(_SCANS_MAX, _SCANNED_PIXELS_MAX // pixels)
    if scans > most:
        # Bytes that look so may lie in a segment, or behind the image: phones append a film to a photo.
        scans, end = _walk_scans(data, start)
    if scans > most:
        raise InvalidImage("The JPEG file has too many scans.")
    return end


def _walk_scans(data: bytes, start: int) -> tuple[int, int]:
    """Count the scans up to the end of the image, and give where that is."""
    scans, position = 0, start
    while found := _MARKER_IN_SCAN.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker == _EOI:
            return scans, position
        if marker not in _STANDALONE:
            scans += marker == _SOS
            position += int.from_bytes(data[position : position + 2], "big")
    return scans, len(data)


def _frame(marker: int, body: bytes) -> tuple[int, int, int]:
    precision, height, width, components = _unpack(">BHHB", body, 0)
    if marker not in _SOF_DECODABLE or precision != 8:
        raise InvalidImage("This kind of JPEG (arithmetic, lossless, hierarchical or 12 bit) is not supported.")
    if components not in {1, 3, 4}:
        raise InvalidImage("The JPEG file has an impossible number of colour components.")
    return height, width, components


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """Find the next marker, past fill bytes and stray ones, as decoders do (ITU-T T.81 §B.1.1.2)."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            raise InvalidImage("The JPEG file is cut off or damaged.")
        code = data[position + 1]
        if code not in {0x00, 0xFF}:
            return code, position + 2
        position += 1


def _unpack(layout: str, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error:
        raise InvalidImage("The JPEG file is cut off or damaged.") from None
