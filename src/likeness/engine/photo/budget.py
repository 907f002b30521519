"""The memory that large photos under way share.

Each photo is bounded by :mod:`likeness.engine.photo.header`. This module bounds large ones together, however many
workers there are. Small photos never wait, so nobody can hold up other callers' photos with large ones.
"""

import threading
from collections import deque

from likeness.engine.photo.header import BYTES_MAX

SMALL_BYTES = 16 << 20
"""A photo of 12 megapixels with a large face takes 13 MB: a JPEG is decoded at a quarter of its sides."""


class PixelBudget:
    """So many bytes, which photos take and give back. Thread-safe; first come, first served.

    Requests of at most ``small`` bytes do not count.
    """

    def __init__(self, size: int, *, small: int = 0) -> None:
        self._size = self._free = size
        self._small = small
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        """Wait for ``size`` bytes, or for all of them where ``size`` is more; give how many were taken.

        A thread that holds some must give them back first.
        """
        if size <= self._small:
            return 0
        size = min(size, self._size)
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and self._free >= size)
                self._free -= size
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return size

    def give_back(self, size: int) -> None:
        """Give back what ``take`` gave."""
        if size:
            with self._changed:
                self._free += size
                self._changed.notify_all()


SHARED = PixelBudget(BYTES_MAX, small=SMALL_BYTES)
"""Of the process."""
