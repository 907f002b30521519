"""Blocking work off the event loop, in sized pools.

They say no when they are full, and let the owners of work take turns.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from likeness.errors import ServiceUnavailable
from likeness.kit.fairness import OWNER, FairQueue

P = ParamSpec("P")
T = TypeVar("T")


QUEUE_LIMIT = 1024


@dataclass(slots=True)
class _Piece:
    work: Callable[[], Any]
    future: "Future[Any]" = field(default_factory=Future)

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # noqa: BLE001  whatever it is belongs to the one who waits
            self.future.set_exception(error)
            del self  # else the error and this frame would keep each other in memory, with a photo


class SizedExecutor:
    """A thread pool with a bounded queue.

    It is fair between the :data:`~likeness.kit.fairness.OWNER` of each piece of work.
    """

    def __init__(self, name: str, *, workers: int, queue_limit: int = QUEUE_LIMIT) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(workers + queue_limit)
        self._waiting = FairQueue[_Piece]()
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on a thread. Raises ServiceUnavailable at once when the queue is full."""
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable("The server is full; try again shortly.")
        piece = _Piece(partial(work, *args, **kwargs))
        future = piece.future
        # Given back when the work ends, not when the caller stops waiting: a cancelled call still occupies its thread.
        future.add_done_callback(lambda _: self._places.release())
        with self._lock:
            self._waiting.put(OWNER.get(), piece)
        try:
            self._pool.submit(self._run_next)
        except RuntimeError as error:  # closed
            future.cancel()
            raise ServiceUnavailable("The server is stopping.") from error
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future.cancelled() and task is not None and not task.cancelling():
                raise ServiceUnavailable("The server is stopping.") from None
            raise

    def refuse_waiting(self) -> None:
        """Refuse what has no worker yet, and what comes from now on; the work under way is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            while piece := self._waiting.pop():
                piece.future.cancel()

    def close(self) -> None:
        """Wait for the work under way; what still waits is refused."""
        self.refuse_waiting()
        self._pool.shutdown(wait=True)

    def _run_next(self) -> None:
        """Which piece it is, is decided when there is a thread for it."""
        with self._lock:
            piece = self._waiting.pop()
        if piece:
            piece.run()
