"""The frames' JPEG headers. One page compresses all frames of an attempt alike.

A frame from another program has other quantisation tables or another sampling. Traces of an earlier compression are no
hint, because many webcams compress their pictures themselves.
"""

import hashlib
from dataclasses import dataclass, field

from likeness.liveness.base import Frame
from likeness.liveness.signals.hints.base import InjectionHint

_START, _SCAN, _TABLES = 0xD8, 0xDA, 0xDB
_FRAME_TYPES = frozenset({0xC0, 0xC1, 0xC2})


@dataclass(slots=True)
class CompressionWatch:
    """A watch over the frames' JPEG headers."""

    _by_size: dict[tuple[int, ...], set[bytes]] = field(default_factory=dict)
    """The headers' digests by the picture's size: another camera may have another size."""

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        del newest_flash_index
        if (found := recipe(frame.data)) is not None:
            self._by_size.setdefault(frame.image.shape[:2], set()).add(found)

    def found(self) -> dict[InjectionHint, bool]:
        return {InjectionHint.COMPRESSION_CHANGED: any(len(recipes) > 1 for recipes in self._by_size.values())}


def recipe(data: bytes) -> bytes | None:
    """Return a digest of how a JPEG was compressed: its quantisation tables and sampling. None if it is no JPEG."""
    if data[:2] != bytes((0xFF, _START)):
        return None
    digest, place = hashlib.sha256(), 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        content = data[place + 4 : place + 2 + length]
        if marker == _SCAN:
            return digest.digest()
        if marker == _TABLES:
            digest.update(content)
        elif marker in _FRAME_TYPES:
            digest.update(bytes((marker,)) + content[5:])
        place += 2 + length
    return None
