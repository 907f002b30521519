"""Attempts in several processes, each with an engine of its own."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeVar

import cv2

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def in_processes(
    prepare: Callable[[], Callable[[Job], Outcome]], jobs: Sequence[Job], *, workers: int, on_done: Callable[[], None]
) -> Iterator[tuple[Job, Outcome]]:
    """Carry out jobs in ``workers`` processes. Yield each with its outcome as it ends, then call ``on_done``.

    ``prepare`` runs once in each process, and gives what carries out a job there. It must be picklable, as the jobs and
    the outcomes must. After an error or an interruption (SIGINT), no further job begins.
    """
    with ProcessPoolExecutor(workers, get_context("spawn"), _open_worker, (prepare,)) as pool:
        waiting = {pool.submit(_work, job): job for job in jobs}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
                on_done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_carry_out: Callable[[Any], Any] | None = None
"""What carries out a job in a worker process, set once at its start."""


def _open_worker(prepare: Callable[[], Callable[[Any], Any]]) -> None:
    global _carry_out  # noqa: PLW0603 - a process pool has no other way to give state to its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process stops its workers after their attempts
    cv2.setNumThreads(1)
    _carry_out = prepare()


def _work(job: Any) -> Any:
    assert _carry_out is not None
    return _carry_out(job)
