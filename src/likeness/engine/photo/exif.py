"""The EXIF orientation of a photo, the only entry that the product uses."""

import struct

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""TIFF's integer types, unsigned and signed. The standard requires SHORT, but files have any of them."""
_ENTRY_BYTES = 12
_VALUE_BYTES = 4


def orientation(tiff: bytes) -> int:
    """Return the orientation 1..8 of an EXIF block, which is a TIFF file: a header, then IFD 0.

    The orientation is 1 if the block has none or is not valid.

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
    if layout is None or values * struct.calcsize(f"={layout}") > _VALUE_BYTES:  # a longer value is stored elsewhere
        return UPRIGHT
    (value,) = struct.unpack_from(order + layout, tiff, position)
    return value if 1 <= value <= 8 else UPRIGHT
