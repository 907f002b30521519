"""The memory that all large photos share while they are analysed.

:mod:`likeness.engine.photo.header` bounds each photo. This module bounds all large photos together, for any number of
workers. Small photos never wait, so one caller's large photos do not delay other callers' small ones.
"""

import threading
from collections import deque

from likeness.engine.photo.header import BYTES_MAX

SMALL_BYTES = 16 << 20
"""The largest size that does not count. A JPEG of 12 megapixels with a large face needs 13 MB: it is decoded with its
sides divided by four."""


class PixelBudget:
    """A number of bytes that photos take and give back. It is thread-safe, and serves requests in their order.

    Requests of at most ``small`` bytes do not count.
    """

    def __init__(self, size: int, *, small: int = 0) -> None:
        self._size = self._free = size
        self._small = small
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        """Wait for ``size`` bytes, or for the whole budget if ``size`` is larger. Return the number of bytes taken.

        A thread must give back the bytes that it has before it takes others.
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
        """Give back the number of bytes that ``take`` returned."""
        if size:
            with self._changed:
                self._free += size
                self._changed.notify_all()


SHARED = PixelBudget(BYTES_MAX, small=SMALL_BYTES)
"""The budget of this process."""
