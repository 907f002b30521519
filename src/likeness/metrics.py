"""``/metrics``: the figures of the server in Prometheus' text format, on a port of their own.

Most figures are counted where they arise (see ``likeness.kit.metrics``). The others, here, are read when somebody asks.
"""

import asyncio
import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from likeness import __version__
from likeness.deployment import Deployment
from likeness.engine.analysts.base import Analysts
from likeness.engine.base import Engine
from likeness.errors import ServiceUnavailable
from likeness.gallery.maintenance.photo_rows import count_deletions
from likeness.gallery.views import STATES, HasCondition
from likeness.kit.admission import Admission
from likeness.kit.metrics import LabelledValues, Reading, RisingReading, write_metrics
from likeness.webhooks import repository as webhooks
from likeness.webhooks.outbox import RETRY_SECONDS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
KEPT_SECONDS: Final = 5.0
"""How long the figures of the database are used again."""
DATABASE_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 8.0
"""Longest times for the database's figures, and for all figures. Prometheus waits 10 s by default."""

_info = Reading(
    "likeness_info", "Always 1; the labels tell the version and the model pack.", {"version": (), "pack": ()}
)
_ready = Reading("likeness_ready", "Whether the server answers calls: 1 or 0.")
_state = Reading("likeness_state", "1 for the state that /readyz tells, 0 for the others.", {"state": STATES})
_galleries = Reading("likeness_galleries", "Galleries in memory, one for each tenant with entries or searches.")
_entries = Reading("likeness_gallery_entries", "Entries of all galleries that searches can find.")
_largest = Reading("likeness_largest_gallery_entries", "Entries of the largest gallery.")
_to_load = Reading("likeness_entries_to_load", "Entries that the start has not loaded yet.")
_unreadable = Reading("likeness_unreadable_entries", "Entries with a damaged template; searches do without them.")
_stale = Reading("likeness_stale_galleries", "Galleries that must be loaded again.")
_refusing = Reading("likeness_refusing_galleries", "Galleries that refuse their calls.")
_queue = Reading("likeness_queue_photos", "Photos that wait for a worker or are analysed.")
_workers = Reading("likeness_workers", "Photos that are analysed at once, at most.")
_readable = Reading("likeness_database_readable", "Whether the database answered within 2 s: 1 or 0.")
_photos_to_delete = Reading("likeness_photos_to_delete", "Photos that erased entries gave up and that may still exist.")
_waiting = Reading("likeness_webhook_waiting", "Webhook deliveries that wait for a try.")
_lag = Reading(
    "likeness_webhook_lag_seconds",
    "Age of the oldest webhook delivery that waits for a try, or of its replay; 0 if none waits.",
)
_key_age = Reading("likeness_signing_key_age_seconds", "Age of the key that signs.")
_disk_free = Reading("likeness_data_folder_free_bytes", "Free space on the disk of the data folder.")
_disk_size = Reading("likeness_data_folder_size_bytes", "Size of the disk of the data folder.")
_photo_memory = Reading("likeness_photo_processes_memory_bytes", "Memory of the processes that analyse photos.")
_memory = Reading("process_resident_memory_bytes", "Memory of the server's process.")
_cpu = RisingReading("process_cpu_seconds_total", "Processor time of the server's process.")
_threads = Reading("process_threads", "Threads of the server's process.")
_open_files = Reading("process_open_fds", "Open file descriptors of the server's process.")
_most_files = Reading("process_max_fds", "Limit of open file descriptors of the server's process.")
_started = Reading("process_start_time_seconds", "Start of the server, in seconds since the Unix epoch.")

Read = Mapping[Reading, float | LabelledValues]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The figures of the database."""

    photos_to_delete: int
    webhooks_waiting: int
    oldest_webhook_at: float | None
    """When the oldest waiting delivery, or its replay, became due."""
    key_made_at: float | None


class ServerMetrics:
    """Reads a server's figures. One event loop uses it. Callers that ask together share one reading."""

    def __init__(
        self,
        deployment: Deployment,
        engine: Engine,
        galleries: HasCondition,
        admission: Admission,
        analysts: Analysts,
    ) -> None:
        self._deployment = deployment
        self._engine = engine
        self._galleries = galleries
        self._admission = admission
        self._analysts = analysts
        self._started_at = time.time()
        self._stored: _Stored | None = None
        self._stored_until = -1.0
        self._asking: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[str] | None = None

    async def text(self) -> str:
        """Give all figures in Prometheus' text format. Raises TimeoutError after ``ANSWER_SECONDS``."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        async with asyncio.timeout(ANSWER_SECONDS):
            return await asyncio.shield(self._writing)

    async def _write(self) -> str:
        if time.monotonic() >= self._stored_until:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_database())
            _, late = await asyncio.wait([self._asking], timeout=DATABASE_SECONDS)
            if late:
                self._stored = None
            else:
                self._asking.result()  # raises what is no refusal of the database
        return await asyncio.to_thread(self._write_all)

    def _write_all(self) -> str:
        folder = self._deployment.settings.data_dir
        return write_metrics({**self._of_database(), **self._of_server(), **_of_disk(folder), **_of_process()})

    async def _ask_database(self) -> None:
        try:
            self._stored = await self._deployment.database.read(self._query)
        except ServiceUnavailable:
            self._stored = None
        self._stored_until = time.monotonic() + KEPT_SECONDS

    def _query(self, connection: Connection) -> _Stored:
        waiting, given_up_at = webhooks.waiting(connection)
        oldest = None if given_up_at is None else given_up_at - RETRY_SECONDS
        made_at = self._deployment.signing_keys.signs_since(connection)
        return _Stored(count_deletions(connection), waiting, oldest, made_at)

    def _of_database(self) -> Read:
        stored, now = self._stored, self._deployment.clock.now()
        if stored is None:
            return {_readable: 0}
        return {
            _readable: 1,
            _photos_to_delete: stored.photos_to_delete,
            _waiting: stored.webhooks_waiting,
            _lag: 0 if stored.oldest_webhook_at is None else max(0.0, now - stored.oldest_webhook_at),
            **({} if stored.key_made_at is None else {_key_age: max(0.0, now - stored.key_made_at)}),
        }

    def _of_server(self) -> Read:
        now = self._galleries.condition
        return {
            _info: {(__version__, self._engine.pack.identity): 1},
            _ready: now.status == "ready",
            _state: {(each,): each == now.status for each in STATES},
            _galleries: now.galleries,
            _entries: now.entries,
            _largest: now.largest,
            _to_load: now.total - now.loaded if now.status == "loading" else 0,
            _unreadable: now.unreadable,
            _stale: now.stale,
            _refusing: now.refusing,
            _queue: self._admission.photos,
            _workers: self._deployment.settings.photos_at_once,
            _photo_memory: sum(map(_resident_bytes, self._analysts.ids())),
            _started: self._started_at,
        }


def _of_disk(folder: Path) -> Read:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return {}
    return {_disk_free: disk.f_bavail * disk.f_frsize, _disk_size: disk.f_blocks * disk.f_frsize}


def _of_process() -> Read:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        _memory: _resident_bytes(os.getpid()),
        _cpu: used.ru_utime + used.ru_stime,
        _threads: _entries_of("/proc/self/task"),
        _open_files: _entries_of("/proc/self/fd"),
        _most_files: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def _entries_of(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def _resident_bytes(process: int) -> int:
    """Give the memory of a process, or 0 if it has ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()


class MetricsPort:
    """The middleware that answers ``/metrics`` on the port of the metrics, and there nothing else.

    The port is the one that the connection was accepted on, which no caller can choose by a header.
    """

    def __init__(self, app: ASGIApp, port: int, metrics: ServerMetrics) -> None:
        self.app = app
        self.port = port
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["server"][1] != self.port:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["path"] != "/metrics":
            return PlainTextResponse("There is only /metrics on this port.\n", 404)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("Only GET is allowed.\n", 405, {"Allow": "GET, HEAD"})
        try:
            text = await self.metrics.text()
        except TimeoutError:
            return PlainTextResponse("The figures could not be read in time.\n", 503)
        return Response(text, media_type=CONTENT_TYPE)
