"""The structure of a JPEG file, which is checked before the decoder gets it.

The result is a stream of only the segments that make pixels. It has no thumbnails, no colour profiles and no second
pictures, so that these cost neither memory nor time.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from likeness.engine.photo.exif import UPRIGHT, orientation
from likeness.engine.photo.header import PIXELS_MAX, Header, check_size
from likeness.errors import InvalidImage

SIGNATURE = b"\xff\xd8\xff"

_PROGRESSIVE = 0xC2
_SOF_DECODABLE = {0xC0, 0xC1, _PROGRESSIVE}  # baseline, extended and progressive, all Huffman coded
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
_ADOBE = b"Adobe"
_START_OF_SCAN = b"\xff\xda"

_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_PIXELS_PER_BYTE = 512
"""The most pixels for each byte: each block of 64 samples takes at least one bit in its first scan."""
_SCANS_MAX = 100
_SCANNED_PIXELS_MAX = 10 * PIXELS_MAX["JPEG"]
"""The most pixels of all scans together. Each scan of a progressive file can cover all pixels, so a file of a few
kilobytes could take minutes."""
_MARKERS_MAX = 5_000
"""Each marker costs this reader a step. Five megabytes of metadata are 80 segments."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The frame header (ITU-T T.81 §B.2.2)."""

    height: int
    width: int
    components: int
    samples: int
    """The number of samples in all components together."""
    progressive: bool


def read_jpeg_header(data: bytes) -> Header:
    """Read the segments up to the first scan. Raises InvalidImage if they are not valid or exceed a budget."""
    frame: _Frame | None = None
    turned = UPRIGHT
    inverted = False
    kept = [b"\xff\xd8"]
    segments = _Segments(data)
    for marker, segment in segments:
        if marker in _SOF:
            if frame is not None:
                raise InvalidImage("The JPEG file has two frame headers.")
            frame = _frame(marker, segment[2:])
        elif marker == _APP1 and segment[2:].startswith(_EXIF) and turned == UPRIGHT:
            turned = orientation(segment[2 + len(_EXIF) :])
        elif marker == _APP14 and segment[2:].startswith(_ADOBE):
            inverted = True
        if marker in _KEPT:
            kept += (bytes((0xFF, marker)), segment)
    if frame is None:
        raise InvalidImage("The JPEG file has no frame header.")
    check_size("JPEG", frame.width, frame.height)
    end = _check_scans(data, segments.scan_start, frame.width * frame.height)
    kept.append(data[segments.scan_start : end])
    several_scans = frame.progressive or data[segments.scan_start + 4] < frame.components
    header = Header(
        "JPEG",
        frame.width,
        frame.height,
        turned,
        frame.components,
        8,
        2 * frame.samples if several_scans else 0,  # the decoder then keeps all coefficients, in 16 bits
        b"".join(kept),
        inverted=inverted,
    )
    header.check_memory()
    return header


class _Segments:
    """The marker segments before the first scan, as (marker, bytes of the segment with its length)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.scan_start = len(data)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        position = 2
        for _ in range(_MARKERS_MAX):
            # Skip fill bytes and stray bytes, as decoders do (ITU-T T.81 §B.1.1.2).
            found = _MARKER.search(self._data, position)
            if found is None:
                raise InvalidImage("The JPEG file is incomplete or damaged.")
            marker, position = self._data[found.end() - 1], found.end()
            if marker == _EOI:
                raise InvalidImage("The JPEG file ends before its first scan.")
            if marker in _STANDALONE:
                continue
            (length,) = _unpack(">H", self._data, position)
            if length < 2 or position + length > len(self._data):
                raise InvalidImage("The JPEG file is incomplete or damaged.")
            if marker == _SOS:
                if length < 3:
                    raise InvalidImage("The JPEG file is incomplete or damaged.")
                self.scan_start = position - 2
                return
            yield marker, self._data[position : position + length]
            position += length
        raise InvalidImage("The JPEG file has too many segments.")


def _check_scans(data: bytes, start: int, pixels: int) -> int:
    """Check that the decoding time is bounded, and return a place at or after the end of the image."""
    if pixels > _PIXELS_PER_BYTE * (len(data) - start):
        raise InvalidImage("The JPEG file contains less data than its header declares.")
    scans, end = data.count(_START_OF_SCAN, start), len(data)
    most = min(_SCANS_MAX, _SCANNED_PIXELS_MAX // pixels)
    if scans > most:
        # Bytes that look like a scan can be in a segment or after the image: phones append a video to a photo.
        scans, end = _walk_scans(data, start)
    if scans > most:
        raise InvalidImage("The JPEG file has too many scans.")
    return end


def _walk_scans(data: bytes, start: int) -> tuple[int, int]:
    """Return the number of scans, and the end of the image. Raises InvalidImage."""
    scans, position = 0, start
    for _ in range(_MARKERS_MAX):
        found = _MARKER_IN_SCAN.search(data, position)
        if found is None:
            return scans, len(data)
        marker, position = data[found.start() + 1], found.end()
        if marker == _EOI:
            return scans, position
        if marker not in _STANDALONE:
            scans += marker == _SOS
            position += int.from_bytes(data[position : position + 2], "big")
    raise InvalidImage("The JPEG file has too many segments.")


def _frame(marker: int, body: bytes) -> _Frame:
    precision, height, width, components = _unpack(">BHHB", body, 0)
    if marker not in _SOF_DECODABLE or precision != 8:
        raise InvalidImage("This kind of JPEG (arithmetic, lossless, hierarchical or 12 bit) is not supported.")
    if components not in {1, 3, 4}:
        raise InvalidImage("The JPEG file has an impossible number of colour components.")
    sampling = [divmod(factors, 16) for factors in _unpack(">" + "xBx" * components, body, 6)]
    if any(not (1 <= factor <= 4) for factors in sampling for factor in factors):
        raise InvalidImage("The JPEG file has impossible sampling factors.")
    whole = max(across for across, _ in sampling) * max(down for _, down in sampling)
    samples = width * height * sum(across * down for across, down in sampling) // whole
    return _Frame(height, width, components, samples, marker == _PROGRESSIVE)


def _unpack(layout: str, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error:
        raise InvalidImage("The JPEG file is incomplete or damaged.") from None
