"""The log: the format of a line, the line that each call leaves, and the thread that writes the lines of a server."""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

access_log = logging.getLogger("likeness.access")
LONGEST_PATH: Final = 200
"""Characters of a path that are logged. A path may be as long as the headers, but its beginning is enough."""
QUEUED_LINES: Final = 10_000
GATHER_SECONDS: Final = 0.02
LAST_LINES_SECONDS: Final = 2.0
"""Time for the lines that wait when the server ends."""
_NAMED: Final = ("tenant", "client", "error")
LineFormat = Literal["text", "json"]


class LogFormat(logging.Formatter):
    """A line of the log: time in UTC, severity, part of the server, event."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802  logging's names
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return stamp.removesuffix("+00:00") + "Z"


class JsonLogFormat(LogFormat):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, and the facts of a call by name."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "call", {}),
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)


_FORMATS: Final[Mapping[LineFormat, type[LogFormat]]] = {"text": LogFormat, "json": JsonLogFormat}


def configure_logging(level: str, form: LineFormat = "text") -> None:
    """Write the log to the standard error.

    Call it before anything can log: earlier lines are lost or have another format.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATS[form]())
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("likeness").setLevel(level.upper())


@contextmanager
def logging_on_a_thread(form: LineFormat = "text") -> Iterator[None]:
    """Write the log's lines on a thread of their own.

    A reader of the log that stops, such as a full pipe, then delays no call. If ``QUEUED_LINES`` wait, further lines
    are dropped and counted.
    """
    try:
        descriptor = sys.stderr.fileno()
    except OSError:  # a caller within this process has put another object in its place, and reads that
        yield
        return
    root = logging.getLogger()
    before = root.handlers[:]
    lines = _QueuedLines(_FORMATS[form](), descriptor)
    root.handlers[:] = [lines]
    try:
        yield
    finally:
        root.handlers[:] = before
        lines.finish()


class _QueuedLines(logging.Handler):
    """Queues records for the thread that writes them.

    The thread writes the lines of ``GATHER_SECONDS`` at once: each time it wakes, it costs as much as several lines.
    It writes to the descriptor itself. So it holds no lock that the end of the process waits for.
    """

    def __init__(self, form: LogFormat, descriptor: int) -> None:
        super().__init__()
        self._form = form
        self._descriptor = descriptor
        self._waiting: list[logging.LogRecord | str] = []
        self._lost = 0
        self._arrived, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write_lines, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._waiting) >= QUEUED_LINES:
            self._lost += 1
            return
        # The record of a call holds only numbers and texts. Other records may hold objects that change later.
        self._waiting.append(record if record.name == access_log.name else self._form.format(record))
        if not self._arrived.is_set():
            self._arrived.set()

    def finish(self) -> None:
        """Write the lines that wait, for as long as ``LAST_LINES_SECONDS``."""
        self._ended.set()
        self._arrived.set()
        self._thread.join(LAST_LINES_SECONDS)

    def _write_lines(self) -> None:
        ended = False
        while not ended:
            self._arrived.wait()
            ended = self._ended.wait(GATHER_SECONDS)
            lines, lost = self._take()
            if lost:
                lines.append(_warning(f"{lost} lines of the log are lost, because its reader is too slow"))
            self._write("".join(f"{line if isinstance(line, str) else self._form.format(line)}\n" for line in lines))

    def _take(self) -> tuple[list[logging.LogRecord | str], int]:
        """Give the lines that wait, and the number of those that were lost."""
        self.acquire()  # as each caller of ``emit`` does
        try:
            self._arrived.clear()
            lines, self._waiting = self._waiting, []
            lost, self._lost = self._lost, 0
        finally:
            self.release()
        return lines, lost

    def _write(self, lines: str) -> None:
        left = lines.encode(errors="backslashreplace")
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:  # the reader has gone; the server goes on
            return


def _warning(message: str) -> logging.LogRecord:
    return logging.LogRecord("likeness", logging.WARNING, __file__, 0, message, (), None)


def log_call(method: str, path: str, status: int, seconds: float, request_id: str, facts: Mapping[str, Any]) -> None:
    """Log a call, without its query string, which may hold secrets."""
    if not access_log.isEnabledFor(logging.INFO):
        return
    path, milliseconds = path[:LONGEST_PATH], seconds * 1000
    named = {name: facts[name] for name in _NAMED if facts.get(name)}
    access_log.info(
        "%s %s %d %.1f ms id=%s%s",
        method,
        path,
        status,
        milliseconds,
        request_id,
        "".join(f" {name}={value}" for name, value in named.items()),
        extra={
            "call": {
                "method": method,
                "path": path,
                "status": status,
                "milliseconds": round(milliseconds, 1),
                "requestId": request_id,
                **named,
            }
        },
    )
