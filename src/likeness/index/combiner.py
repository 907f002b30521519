"""Queries that wait together are answered together.

While no batch runs, a query is answered at once and alone. Queries that arrive during a batch wait. When the batch
ends, the first of them answers all of them in its own thread.

After a batch of several queries, the next batch waits a moment for more queries from the same clients. It waits at most
a fiftieth of the last batch's time, and at most a millisecond. Without this wait, clients that ask again and again
would alternate: one query alone, then all the others.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Lock
from time import monotonic
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

_PATIENCE = 0.02
_MOST_PATIENCE_SECONDS = 0.001


class _Ticket(Generic[Q, A]):
    """A query's place in the queue. ``turn`` opens when the query has its answer, or has a batch to answer."""

    __slots__ = ("answer", "batch", "error", "query", "turn")

    def __init__(self, query: Q) -> None:
        self.query = query
        self.turn = Lock()
        self.turn.acquire()
        self.batch: list[_Ticket[Q, A]] | None = None
        self.answer: A | None = None
        self.error: BaseException | None = None


class Combiner(Generic[Q, A]):
    """Calls ``answer_all`` with the queries that wait, at most ``most`` a call. At most ``at_once`` calls run at once.

    When a call raises an error, every query of its batch raises it.
    """

    def __init__(self, answer_all: Callable[[Sequence[Q]], Sequence[A]], *, most: int = 32, at_once: int = 1) -> None:
        self._answer_all = answer_all
        self._most = most
        self._at_once = at_once
        self._running = 0
        self._waiting: deque[_Ticket[Q, A]] = deque()
        self._arrived = Condition(Lock())
        self._company = 1
        self._patient_until = 0.0

    def __call__(self, query: Q) -> A:
        ticket = _Ticket[Q, A](query)
        with self._arrived:
            if self._running < self._at_once:
                self._running += 1
                ticket.batch = [ticket]
            else:
                self._waiting.append(ticket)
                self._arrived.notify()
        if ticket.batch is None:
            ticket.turn.acquire()
        if ticket.batch is not None:
            self._lead(ticket.batch)
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer  # type: ignore[return-value]  # set, as there is no error

    def _lead(self, batch: list[_Ticket[Q, A]]) -> None:
        self._gather(batch)
        started = monotonic()
        try:
            answers = self._answer_all([ticket.query for ticket in batch])
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answer = answer
        except BaseException as error:  # noqa: BLE001  every query of the batch raises it
            for ticket in batch:
                ticket.error = error
        self._hand_over(batch, started)

    def _gather(self, batch: list[_Ticket[Q, A]]) -> None:
        """Add the waiting queries to the batch. Wait a moment for as many queries as the last batch knew of."""
        with self._arrived:
            while len(batch) + len(self._waiting) < min(self._company, self._most):
                patience = self._patient_until - monotonic()
                if patience <= 0 or not self._arrived.wait(patience):
                    break
            while self._waiting and len(batch) < self._most:
                batch.append(self._waiting.popleft())

    def _hand_over(self, batch: list[_Ticket[Q, A]], started: float) -> None:
        with self._arrived:
            ended = monotonic()
            self._company = len(batch) + len(self._waiting)
            self._patient_until = ended + min(_PATIENCE * (ended - started), _MOST_PATIENCE_SECONDS)
            if self._waiting:
                leader = self._waiting.popleft()
                leader.batch = [leader]
                leader.turn.release()
            else:
                self._running -= 1
        for ticket in batch[1:]:
            ticket.turn.release()
