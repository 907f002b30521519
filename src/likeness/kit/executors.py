"""Thread pools of limited size for blocking work, off the event loop.

A full pool refuses work. The owners of work take turns.
"""

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from likeness.errors import ServiceUnavailable
from likeness.kit.fairness import OWNER, FairQueue
from likeness.kit.metrics import Count

P = ParamSpec("P")
T = TypeVar("T")


QUEUE_LIMIT = 1024
_refused = Count("likeness_pool_refusals_total", "Work that a full thread pool refused.", {"pool": ()})


@dataclass(slots=True)
class _Job:
    """Work, the place that it takes, and the event loop's future that waits for it."""

    work: Callable[[], Any]
    places: threading.BoundedSemaphore
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"

    def run(self) -> None:
        """Do the work, on any thread. Skip it if the caller has left."""
        if self.future.cancelled():
            self.places.release()
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001  the caller that waits gets every error
            _let_go_of_locals(error)
            self._conclude(self.future.set_exception, error)
            del self  # otherwise the error and this frame keep each other in memory, with a photo
        else:
            self._conclude(self.future.set_result, result)

    def refuse(self) -> None:
        """Refuse the work, because the server is stopping."""
        self._conclude(self.future.set_exception, ServiceUnavailable("The server is stopping."))

    def _conclude(self, set_outcome: Callable[[Any], None], outcome: Any) -> None:
        # Released when the work ends, not when the caller stops waiting: a cancelled call still occupies its thread.
        self.places.release()
        with contextlib.suppress(RuntimeError):  # the loop is closed, so no caller waits
            self.loop.call_soon_threadsafe(_answer, self.future, set_outcome, outcome)


def _let_go_of_locals(error: BaseException) -> None:
    """Clear the finished frames that an error came through; its lines stay for the log.

    Frames that handle an error refer to it, and it refers to them. Such a cycle would hold a photo's pixels until the
    garbage collector finds it, which takes many calls.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            waiting += [one.__cause__, one.__context__]


def _answer(future: "asyncio.Future[Any]", set_outcome: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        set_outcome(outcome)


class SizedExecutor:
    """A thread pool with a bounded queue.

    The owners of its work take turns (see :data:`~likeness.kit.fairness.OWNER`).
    """

    def __init__(self, name: str, *, workers: int, queue_limit: int = QUEUE_LIMIT) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(workers + queue_limit)
        self._waiting = FairQueue[_Job]()
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on a thread. Raises ServiceUnavailable at once if the queue is full."""
        if not self._places.acquire(blocking=False):
            _refused.add(self._name)
            raise ServiceUnavailable("The server is full; try again shortly.")
        loop = asyncio.get_running_loop()
        job = _Job(partial(work, *args, **kwargs), self._places, loop, loop.create_future())
        with self._lock:
            self._waiting.put(OWNER.get(), job)
        try:
            self._pool.submit(self._run_next)
        except RuntimeError as error:  # closed
            job.future.cancel()
            self.refuse_waiting()
            raise ServiceUnavailable("The server is stopping.") from error
        result: T = await job.future
        return result

    def refuse_waiting(self) -> None:
        """Refuse the waiting work and all later work. The work in progress is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while job := self._next():
            job.refuse()

    def close(self) -> None:
        """Refuse the waiting work, and wait for the work in progress."""
        self.refuse_waiting()
        self._pool.shutdown(wait=True)

    def _run_next(self) -> None:
        """Choose the next job only now, when a thread is free for it, and run it."""
        if job := self._next():
            job.run()

    def _next(self) -> _Job | None:
        with self._lock:
            return self._waiting.pop()
