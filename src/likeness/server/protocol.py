"""HTTP/1.1 on one connection: uvicorn's protocol on httptools, with these additions.

- Headers are limited in bytes and number.
- A request's head has a deadline. ``likeness.web.request_context`` keeps the deadline of its body.
- A connection is dropped if the caller does not read the answer.
- An upload is read for a limited time after its refusal, so that the refusal arrives.
- A caller may close its half of the connection, and may offer an upgrade that the server does not take.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from likeness.errors import ErrorCode
from likeness.kit.ids import new_request_id
from likeness.kit.logs import log_call
from likeness.server.connections import Connections
from likeness.web.request_context import SEALED_OFF, encoded

HEADER_BYTES: Final = 32 * 1024
HEADERS: Final = 100
PIPELINED: Final = 16
"""Requests that may wait on one connection for the answers to earlier ones."""
DRAIN_BYTES: Final = 32 * 1024 * 1024
"""Bytes that are read after a refusal, so that it arrives. No accepted request has so many."""
DRAIN_SECONDS: Final = 5.0
DRAIN_PAUSE_SECONDS: Final = 0.02
"""Pause between two reads of discarded bytes.

Without it, the event loop reads megabytes from a fast sender before it accepts another connection.
"""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a caller may keep the server waiting, in seconds."""

    head: float
    """For a request's head, and for a pause in which the caller reads nothing of an answer."""
    idle: float
    """Between two requests."""


class _Refused(Exception):
    """Stops the parser."""


class _Transport:
    """The connection. It is closed once the caller can have read the answer."""

    def __init__(self, transport: asyncio.Transport, protocol: "HttpProtocol") -> None:
        self._transport = transport
        self._protocol = protocol
        self._held: list[bytes] | None = None

    def hold(self) -> None:
        """Keep what is written until ``release``, because each write costs a call of the system."""
        self._held = []

    def release(self) -> None:
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        self.release()
        self._protocol.part()

    def is_closing(self) -> bool:
        return self._protocol.parting or self._transport.is_closing()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the additions that the module lists."""

    def __init__(self, *args: Any, connections: Connections, deadlines: Deadlines, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = deadlines.idle  # type: ignore[assignment]  # it need not be whole
        self._places = connections
        self._deadlines = deadlines
        self._real: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._receiving = False
        self._completed = False
        self._fed = self._header_bytes = self._hosts = 0
        self._refusal: tuple[int, str] | None = None
        self._offered_upgrade = False
        self._deaf = False
        self.parting = False
        self._drained = 0

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._real = transport
        self.connections.add(self)
        self.transport = _Transport(transport, self)  # type: ignore[assignment]
        self.flow = FlowControl(transport)
        self.server, self.client = get_local_addr(transport), get_remote_addr(transport)
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        if self._places.enter(self, transport.get_extra_info("socket").fileno()):
            self._set_timer(self._deadlines.head, self._head_is_late)
        else:
            self._answer(503, "The server holds as many connections as it can.", ErrorCode.SERVICE_UNAVAILABLE)
            self._deaf = self.parting = True
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.parting = True
        self._stop_timer()
        self.resume_writing()
        self._unset_keepalive_if_required()
        self._places.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        self._real.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a caller that closed its half after a whole request. Drop an incomplete request."""
        if self._deaf or self._in_head or self._receiving or not self._busy():
            return False
        (self.pipeline[0][0] if self.pipeline else self.cycle).keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            self._throw_away(data)
            return
        while data and not self._deaf:
            # A head is read in chunks. So an endless one is noticed before it takes much memory.
            chunk, data = (data, b"") if self._receiving else (data[:HEADER_BYTES], data[HEADER_BYTES:])
            if (rest := self._feed(chunk)) is not None:
                data = rest + data
                if self._real.get_protocol() is not self:
                    self._real.get_protocol().data_received(data)  # type: ignore[attr-defined]  # a socket's first frame
                    return
        if not (self._in_head or self._busy() or self._timer):
            self._set_timer(self._deadlines.head, self._head_is_late)  # empty lines are no request

    def _throw_away(self, data: bytes) -> None:
        self._drained += len(data)
        if self._drained > DRAIN_BYTES:
            self._real.close()
        else:
            self._real.pause_reading()
            self.loop.call_later(DRAIN_PAUSE_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self._real.is_closing():
            self._real.resume_reading()

    def _busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def _feed(self, chunk: bytes) -> bytes | None:
        """Parse a chunk. Give the bytes after a head that offers an upgrade, else None."""
        self._completed = False
        try:
            self.parser.feed_data(chunk)
            self._fed = self._fed + len(chunk) if self._in_head and not self._completed else 0
            if self._fed > HEADER_BYTES:
                self._refuse(431, "The request's headers are too large.")
        except httptools.HttpParserUpgrade as upgrade:
            rest = chunk[upgrade.args[0] :]
            if not self._offered_upgrade:
                self.handle_websocket_upgrade()
            else:
                rest = self._without_upgrade() + rest
            return rest
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "The request is not well-formed HTTP/1.1.")))
        return None

    def _without_upgrade(self) -> bytes:
        """Give the request's head again without the offered upgrade, for a new parser.

        The old parser would skip the body.
        """
        self._offered_upgrade = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, self.scope["http_version"].encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] not in {b"upgrade", b"http2-settings"}]
        return b"\r\n".join([*lines, b"", b""])

    # Parser

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            self._break_off(400, "Too many requests wait on this connection; read their answers first.")
        super().on_message_begin()
        self._in_head = True
        self._header_bytes = self._hosts = 0
        if not self._busy():
            self._places.wait_for(self)
        if self._timer is None:
            self._set_timer(self._deadlines.head, self._head_is_late)

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if len(self.headers) >= HEADERS:
            self._break_off(431, f"A request may have at most {HEADERS} headers.")
        super().on_header(name, value)
        self._hosts += self.headers[-1][0] == b"host"

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        version = self.parser.get_http_version()
        if self._hosts != 1 and (self._hosts or version != "1.0"):
            self._break_off(400, "A request must have exactly one Host header.")
        if self.parser.get_method() == b"CONNECT":
            self._break_off(400, "This server is not a proxy.")
        self._receiving = True
        if self.parser.should_upgrade() and not self._should_upgrade():
            self._offered_upgrade = True
            self.scope["method"], self.scope["http_version"] = self.parser.get_method().decode("ascii"), version
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = False
        self._completed = True
        self._places.heard(self)
        if not self._offered_upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        if not self._busy():
            self._places.wait_for(self)

    def handle_websocket_upgrade(self) -> None:
        self._unset_keepalive_if_required()
        self._stop_timer()
        self._places.leave(self)
        self.transport = self._real
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            start: Any = None

            async def send_joined(message: Any) -> None:
                """Send an answer's head together with the first part of its body."""
                nonlocal start
                if cycle.more_body:  # the rest of the body would be taken for the next request, or read without end
                    cycle.keep_alive = False
                if message["type"] == "http.response.start":
                    start = message
                    return
                if start is not None:
                    transport.hold()
                    await send(start)
                    start = None
                await send(message)
                transport.release()

            transport: Any = cycle.transport
            try:
                await app(scope, receive, send_joined)
            finally:
                cycle.body = bytearray()  # unread bytes would stay in memory until the next garbage collection

        super()._start_asgi_task(cycle, answer)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES:
            self._break_off(431, f"A request's headers may have at most {HEADER_BYTES} bytes.")

    def _break_off(self, status: int, message: str) -> None:
        self._refusal = (status, message)
        raise _Refused

    # Ends

    def part(self) -> None:
        """Close the connection.

        If the caller still sends, its bytes are read for a while. A close at once would destroy the answer.
        """
        if self.parting:
            return
        self.parting = self._deaf = True
        self._unset_keepalive_if_required()
        if self._receiving or self._in_head:
            self._real.write_eof()
            self.flow.resume_reading()
            self._set_timer(DRAIN_SECONDS, self.drop)
        else:
            self._real.close()
            self._set_timer(self._deadlines.head, self.drop)

    def shutdown(self) -> None:
        if self._busy() and not self.parting:
            super().shutdown()
        else:
            self._real.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._deadlines.head, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def timeout_keep_alive_handler(self) -> None:
        self.part()

    def _head_is_late(self) -> None:
        self._timer = None
        if self._busy():
            self._set_timer(self._deadlines.head, self._head_is_late)  # the caller waits for the server
        elif self._in_head:
            self._refuse(408, "The request's headers took too long.")
        else:
            self.part()

    def _refuse(self, status: int, message: str) -> None:
        """Send a refusal and close the connection. If an answer is in progress, only finish it."""
        self._deaf = True
        if self._busy():
            (self.pipeline[0][0] if self.pipeline else self.cycle).keep_alive = False
            return
        self._answer(status, message)
        self._in_head = True  # further bytes are read and discarded
        self.part()

    def _answer(self, status: int, message: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> None:
        """Send an error in the contract's form, without the application."""
        request_id = new_request_id()
        body = json.dumps({"error": code, "message": message, "requestId": request_id}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *encoded(SEALED_OFF),
            *([(b"retry-after", b"2")] if status == 503 else []),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self._real.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        log_call("-", "-", status, 0, request_id, {"error": code})

    def _set_timer(self, seconds: float, then: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
