"""Blocking work off the event loop, in sized pools that say no when they are full."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from likeness.errors import ServiceUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class SizedExecutor:
    """A thread pool with a bounded queue."""

    def __init__(self, name: str, *, workers: int, queue_limit: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(workers + queue_limit)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on a thread. Raises ServiceUnavailable at once when the queue is full."""
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable("The server is full; try again shortly.")
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except RuntimeError as error:  # closed
            self._places.release()
            raise ServiceUnavailable("The server is stopping.") from error
        # Given back when the work ends, not when the caller stops waiting: a cancelled call still occupies its thread.
        future.add_done_callback(lambda _: self._places.release())
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

    def close(self) -> None:
        """Wait for the work under way; what still waits is refused."""
        self._pool.shutdown(wait=True, cancel_futures=True)
