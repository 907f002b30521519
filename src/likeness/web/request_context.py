"""The middleware around every call.

It gives the call its request id, counts it, writes its line in the log, and gives back its places. It
answers HEAD like GET, gives each answer its headers for browsers, and answers faults in the contract's form.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.errors import ErrorCode, RequestTimeout, ServiceUnavailable, UnexpectedError
from likeness.kit.ids import new_request_id
from likeness.kit.logs import log_call
from likeness.kit.metrics import Count, Times
from likeness.settings import Settings
from likeness.web.http import error_response

log = logging.getLogger("likeness.http")

REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")
NO_ANSWER = 499
"""The logged status of a call whose caller left before the answer."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN = "unknown"
"""The route of all paths that are no route."""
SWITCHED = 101
"""The status of a call that became a socket. It ends with the socket, so its time says nothing."""
SEALED_OFF = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""The headers of every answer that has no others of its own: a browser runs nothing of it, and keeps nothing."""
ONLY_TLS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
"""The header by which browsers come back by https alone, also to hosts below the server's."""

_requests = Count(
    "likeness_requests_total",
    "Requests by their route. Status 499: the caller left early. Status 101: a capture socket, when it ends.",
    {"route": (), "method": (), "status": ()},
)
_seconds = Times(
    "likeness_request_seconds", "Time from a request's headers to the end of its answer.", {"route": (), "method": ()}
)
_errors = Count(
    "likeness_errors_total",
    "Refused requests, except those for a token, by the code of the answer.",
    {"code": ErrorCode},
)


def count_call(scope: Scope, status: int, seconds: float) -> str:
    """Count a call by its route's template, never by its path, which may have ids. Give its method and its route."""
    mounted = scope["root_path"] if "endpoint" in scope else None  # a mount has files, and is no route
    route = getattr(scope.get("route"), "path", None) or mounted or UNKNOWN
    method = scope.get("method", "GET")
    method = method if method in METHODS else "other"
    _requests.add(route, method, str(status))
    if status != SWITCHED:
        _seconds.add(seconds, route, method)
    if error := scope["state"].get("error"):
        _errors.add(error)
    return f"{method} {route}"


def request_id_of(scope: Scope) -> str:
    """Give the caller's ``X-Request-Id`` if it has only plain characters, else a new id."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else new_request_id()


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Give headers in the form of ASGI."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


@dataclass(frozen=True, slots=True)
class BodyPace:
    """The least pace of a body: it may take ``seconds``, and a second more for each ``bytes_per_second`` bytes."""

    seconds: float
    bytes_per_second: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Give the pace that the settings name."""
        return cls(settings.request_seconds, settings.body_bytes_per_second)


def headers_at(origin: str) -> dict[str, str]:
    """Give the headers of every answer of a server at a public address.

    ``localhost`` may be http: browsers keep the promise of TLS for all ports, so for other programs there, too.
    """
    address = urlsplit(origin)
    secure = address.scheme == "https" and address.hostname != "localhost"
    return SEALED_OFF | (ONLY_TLS if secure else {})


class RequestContext:
    """The middleware that the module describes."""

    def __init__(
        self, app: ASGIApp, pace: BodyPace, origin: str, note: Callable[[dict[str, Any], str, float], None]
    ) -> None:
        """``origin`` is the public address. ``note`` gets the state, the route and the seconds of each call."""
        self.app = app
        self.pace = pace
        self.note = note
        self._headers = encoded(headers_at(origin))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = request_id_of(scope)
        serve = self._serve if scope["type"] == "http" else self._serve_socket
        # HEAD works wherever GET does. The server itself leaves out the body.
        asked: dict[str, Any] = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else dict(scope)
        began = time.monotonic()
        status = NO_ANSWER
        try:
            status = await serve(asked, receive, send, request_id)
        finally:
            if place := state.get("place"):
                place.leave()
            if leave := state.get("leave"):
                leave()
            seconds = time.monotonic() - began
            self.note(state, count_call(asked, status, seconds), seconds)
            path = scope["raw_path"].decode("ascii", "replace")
            log_call(scope.get("method", "GET"), path, status, seconds, request_id, state)

    async def _serve(self, asked: Scope, receive: Receive, send: Send, request_id: str) -> int:
        status = NO_ANSWER

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                missing = [each for each in self._headers if each[0] not in own]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *missing]
            await send(message)

        try:
            await self.app(asked, self._in_time(receive), send_with_id)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the server stops, and the time for requests in progress is over
            if status != NO_ANSWER:
                raise
            stopping = ServiceUnavailable("The server is stopping.")
            asked["state"]["error"] = stopping.code
            await error_response(stopping, request_id)(asked, receive, send_with_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if status != NO_ANSWER:
                raise
            fault = UnexpectedError("The server failed unexpectedly; its log has the details under the request id.")
            asked["state"]["error"] = fault.code
            await error_response(fault, request_id)(asked, receive, send_with_id)
        return status

    def _in_time(self, receive: Receive) -> Receive:
        """Give a body's chunks while they keep the pace. Only the time counts in which the server waits."""
        whole = False
        left = self.pace.seconds

        async def receive_in_time() -> Message:
            nonlocal whole, left
            if whole:
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError as error:
                raise RequestTimeout("The request's body came too slowly.") from error
            left += len(message.get("body", b"")) / self.pace.bytes_per_second - (time.monotonic() - began)
            whole = not message.get("more_body", False)
            return message

        return receive_in_time

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send, _request_id: str) -> int:
        status = 403

        async def send_noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        await self.app(scope, receive, send_noticing)
        return status
