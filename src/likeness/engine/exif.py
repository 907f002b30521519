"""The one EXIF entry that matters here: which way up the photo is."""

import struct

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_ENTRY_BYTES = 12


def orientation(tiff: bytes) -> int:
    """Give the orientation 1..8 of an EXIF block (a TIFF file: header, then IFD 0); 1 when it has none or makes no sense.

    Source: CIPA DC-008 (EXIF 2.32) §4.6.4, tag 0x0112.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for position in range(start + 2, min(start + 2 + count * _ENTRY_BYTES, len(tiff) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, position)
        if tag == _ORIENTATION_TAG:
            return value if kind == _SHORT and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
