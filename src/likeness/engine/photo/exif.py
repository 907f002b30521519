"""The one EXIF entry that matters here: which way up the photo is."""

import struct

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""TIFF's types of whole numbers, unsigned and signed; the standard says SHORT, and files have any."""
_ENTRY_BYTES = 12
_VALUE_BYTES = 4


def orientation(tiff: bytes) -> int:
    """Give the orientation 1..8 of an EXIF block (a TIFF file: header, then IFD 0).

    1 when it has none or makes no sense.

    Source: CIPA DC-008 (EXIF 2.32) §4.6.4, tag 0x0112; TIFF 6.0 §2.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for position in range(start + 2, min(start + 2 + count * _ENTRY_BYTES, len(tiff) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, position)
        if tag == _ORIENTATION_TAG:
            return _value(tiff, position + 8, order, kind, values)
    return UPRIGHT


def _value(tiff: bytes, position: int, order: str, kind: int, values: int) -> int:
    layout = _INTEGERS.get(kind)
    if layout is None or values * struct.calcsize(f"={layout}") > _VALUE_BYTES:  # what is longer lies elsewhere
        return UPRIGHT
    (value,) = struct.unpack_from(order + layout, tiff, position)
    return value if 1 <= value <= 8 else UPRIGHT
