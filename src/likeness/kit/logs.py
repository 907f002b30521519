"""The format of the log's lines, and the line of a call."""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

access_log = logging.getLogger("likeness.access")
LONGEST_PATH: Final = 200
"""Characters of a path that are logged. A path may be as long as the headers, but its beginning is enough."""
_FACTS: Final = ("tenant", "client", "error")


class LogFormat(logging.Formatter):
    """A line of the log: time in UTC, severity, part of the server, event."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802  logging's names
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return stamp.removesuffix("+00:00") + "Z"


def configure_logging(level: str) -> None:
    """Write the log to the standard error.

    Call it before anything can log: earlier lines are lost or have another format.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormat())
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("likeness").setLevel(level.upper())


def log_call(method: str, path: str, status: int, seconds: float, request_id: str, facts: Mapping[str, Any]) -> None:
    """Log a call, without its query string, which may hold secrets."""
    if access_log.isEnabledFor(logging.INFO):
        known = "".join(f" {name}={facts[name]}" for name in _FACTS if facts.get(name))
        access_log.info(
            "%s %s %d %.1f ms id=%s%s", method, path[:LONGEST_PATH], status, seconds * 1000, request_id, known
        )
