"""The decision whether the server reads a request's body.

An overloaded server refuses a request at once, before it works on it.
"""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar

from likeness.errors import ServiceUnavailable
from likeness.kit.fairness import Shares
from likeness.kit.metrics import Count

FIRST_GUESS_SECONDS = 0.05
LEAST_SECONDS = 0.005
"""The least time that counts for a photo. Photos that are refused quickly must not make the queue seem short."""
LEARNING = 0.1
ROUNDS = 4
LAPSE_SECONDS = 1.0
_refused = Count(
    "likeness_overload_refusals_total",
    "Requests with photos that were refused with 503, because the queue or the memory for bodies was full.",
    {"full": ("queue", "memory")},
)


class Place:
    """One request's place in the queue. From the start it counts for all photos that the body will have."""

    def __init__(self, admission: "Admission", tenant: str, photos: int, size: int) -> None:
        self._admission = admission
        self.tenant = tenant
        self.photos = photos
        """Photos that are not analysed yet."""
        self.size = size
        """Bytes of memory that are reserved for the body."""
        self.asked_at = admission.monotonic()

    def arrived(self, size: int) -> None:
        """Note that the body is complete, with ``size`` bytes.

        Raises ServiceUnavailable if it came late and the queue is full now.
        """
        self._admission.arrived(self, size)

    def analysed(self, seconds: float) -> None:
        """Note that a photo is analysed, and the seconds that a worker needed. Any thread may call this."""
        self._admission.analysed(self, seconds)

    def leave(self) -> None:
        """Give back the place and the memory. Call it however the request ended."""
        self._admission.leave(self)


PLACE: ContextVar[Place | None] = ContextVar("place", default=None)
"""The place of the request that the current task answers."""


class Admission:
    """Gives places to requests. The queue in front of the workers is limited in time, and fair.

    Tenants take turns at the workers (:class:`~likeness.kit.fairness.FairQueue`). So a tenant's new request waits for
    the tenant's own work, and for at most as much work of each other tenant. This may take ``wait_seconds``, by the
    number of photos and the recent time of one photo. ``ROUNDS`` photos for each worker are always let in, so that no
    worker is idle.

    A body that does not arrive within ``LAPSE_SECONDS`` loses its place. The request asks for a place again when the
    body is complete.
    """

    def __init__(
        self, *, workers: int, wait_seconds: float, body_bytes: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.monotonic = monotonic
        self.seconds = FIRST_GUESS_SECONDS
        """Recent time of a worker for one photo, in seconds."""
        self._workers = workers
        self._wait_seconds = wait_seconds
        self._bytes = Shares(body_bytes)
        self._photos: Counter[str] = Counter()
        """Photos in the queue, by tenant."""
        self._counted: set[Place] = set()
        self._arriving: dict[Place, None] = {}
        """Places whose bodies have not arrived, the oldest first."""
        self._lock = threading.Lock()

    @property
    def photos(self) -> int:
        """The photos in the queue, with those that workers analyse now."""
        with self._lock:
            return self._photos.total()

    def ask(self, tenant: str, *, photos: int, size: int) -> Place:
        """Give a place for a request with ``photos`` photos in at most ``size`` bytes. Raises ServiceUnavailable."""
        with self._lock:
            place = Place(self, tenant, photos, size)
            while self._arriving and next(iter(self._arriving)).asked_at <= place.asked_at - LAPSE_SECONDS:
                lapsed = next(iter(self._arriving))
                del self._arriving[lapsed]
                self._uncount(lapsed)
            self._refuse_if_long(tenant, photos)
            if not self._bytes.take(tenant, size):
                raise self._refusal(self._ahead(tenant, photos), full="memory")
            self._count(place)
            self._arriving[place] = None
            return place

    def arrived(self, place: Place, size: int) -> None:
        with self._lock:
            self._bytes.give_back(place.tenant, place.size - size)
            place.size = size
            if place in self._arriving:
                del self._arriving[place]
            else:
                self._refuse_if_long(place.tenant, place.photos)
                self._count(place)

    def analysed(self, place: Place, seconds: float) -> None:
        with self._lock:
            self.seconds += LEARNING * (max(seconds, LEAST_SECONDS) - self.seconds)
            if place in self._counted and place.photos:
                place.photos -= 1
                self._take_from_line(place.tenant, 1)

    def leave(self, place: Place) -> None:
        with self._lock:
            self._arriving.pop(place, None)
            self._uncount(place)
            self._bytes.give_back(place.tenant, place.size)
            place.size = 0

    def _ahead(self, tenant: str, photos: int) -> int:
        """Count the photos that go before a tenant's next ones."""
        turns = self._photos[tenant] + photos
        return self._photos[tenant] + sum(
            min(waiting, turns) for other, waiting in self._photos.items() if other != tenant
        )

    def _refuse_if_long(self, tenant: str, photos: int) -> None:
        ahead = self._ahead(tenant, photos)
        if ahead >= max(self._wait_seconds * self._workers / self.seconds, ROUNDS * self._workers):
            raise self._refusal(ahead, full="queue")

    def _refusal(self, ahead: int, *, full: str) -> ServiceUnavailable:
        _refused.add(full)
        # Callers that are refused together should not come back together.
        wait = math.ceil(ahead * self.seconds / self._workers + random.random())  # noqa: S311  no secret
        return ServiceUnavailable("The server is overloaded; try again shortly.", retry_after_seconds=wait)

    def _count(self, place: Place) -> None:
        self._counted.add(place)
        self._photos[place.tenant] += place.photos

    def _uncount(self, place: Place) -> None:
        if place in self._counted:
            self._counted.remove(place)
            self._take_from_line(place.tenant, place.photos)

    def _take_from_line(self, tenant: str, photos: int) -> None:
        self._photos[tenant] -= photos
        if not self._photos[tenant]:
            del self._photos[tenant]
