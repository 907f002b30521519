"""The run of an application until a signal ends it."""

import contextlib
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from likeness.errors import SetupError
from likeness.server.connections import make_connections
from likeness.server.protocol import Deadlines, HttpProtocol
from likeness.server.sockets import SocketProtocol
from likeness.settings import Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FRAME_HEADER_ROOM = 4096
METRICS_NAMES = "LIKENESS_METRICS_HOST and LIKENESS_METRICS_PORT"
MAIN = threading.main_thread()
AGAIN_SECONDS = 0.05
STOP_SECONDS = 10
"""Time for the requests in progress when the server stops."""
SWITCH_SECONDS = 0.0005
ACCEPTS = 16
"""Connections that are accepted in one turn of the event loop.

uvloop accepts one connection of each socket in a turn. So each listening socket has this many copies.
"""


class Server(uvicorn.Server):
    """uvicorn's server. A signal stops it without killing the process, so the application is closed after it."""

    def __init__(self, config: uvicorn.Config, begin_stop: Sequence[Callable[[], None]]) -> None:
        super().__init__(config)
        self._begin_stop = begin_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for each in self._begin_stop:
            each()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, _ignore if self.should_exit else handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  as uvicorn calls it
        """Stop. A second signal stops without waiting for the requests in progress."""
        self.force_exit = self.should_exit
        self.should_exit = True


def make_server(app: Any, settings: Settings, *, begin_stop: Sequence[Callable[[], None]]) -> Server:
    """Make a server. When it begins to stop, it calls ``begin_stop`` on the event loop."""
    # The event loop releases the interpreter at every read. A worker must then give it back at once, not after five
    # milliseconds.
    sys.setswitchinterval(SWITCH_SECONDS)
    connections = make_connections(settings.max_connections)
    deadlines = Deadlines(head=settings.request_seconds, idle=settings.keep_alive_seconds)
    logging.getLogger("uvicorn.access").disabled = True  # its lines would contain query strings
    config = uvicorn.Config(
        app,
        http=partial(HttpProtocol, connections=connections, deadlines=deadlines),  # type: ignore[arg-type]  # works like a class
        ws=partial(SocketProtocol, connections=connections),  # type: ignore[arg-type]
        ssl_context_factory=_tls_factory(settings),
        log_config=None,
        access_log=False,  # each call's line is written by likeness.web.request_context
        server_header=False,
        proxy_headers=False,  # likeness.web.proxies reads them
        timeout_graceful_shutdown=STOP_SECONDS,
        # A larger message is not a camera frame. Frames are JPEGs, so further compression gains nothing.
        ws_max_size=settings.max_frame_bytes + FRAME_HEADER_ROOM,
        ws_per_message_deflate=False,
    )
    return Server(config, begin_stop)


def _tls_factory(settings: Settings) -> Callable[..., ssl.SSLContext] | None:
    """Give what uvicorn calls for its TLS settings; None without TLS. Raises SetupError for unusable files."""
    if settings.tls_certificate_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    except OSError as error:  # ssl's errors are OSErrors
        names = "LIKENESS_TLS_CERTIFICATE_FILE and LIKENESS_TLS_KEY_FILE"
        raise SetupError(f"the certificate of {names} cannot be used: {error}") from error
    return lambda *_: context


def bind(settings: Settings) -> list[socket.socket]:
    """Take the addresses before the other work of the start, so that a taken one fails early. Raises SetupError."""
    addresses = [(settings.host, settings.port, "LIKENESS_HOST and LIKENESS_PORT")]
    if settings.metrics_port is not None:
        addresses.append((settings.metrics_host, settings.metrics_port, METRICS_NAMES))
    taken: list[socket.socket] = []
    for host, port, names in addresses:
        try:
            _listen(host, port, taken)
        except OSError as error:
            for one in taken:
                one.close()
            raise SetupError(
                f"port {port} of {host} cannot be listened on ({error.strerror}): stop the program that uses it, or "
                f"set {names}"
            ) from error
    return [copy for one in taken for copy in (one, *(one.dup() for _ in range(ACCEPTS - 1)))]


def _listen(host: str, port: int, taken: list[socket.socket]) -> None:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, *_, address in dict.fromkeys(found):
        one = socket.socket(family)
        taken.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the block with exit status 0 at SIGTERM and at SIGINT.

    A second signal does not disturb the closing. Python drops an exception that comes while it collects garbage. The
    signal is then sent again.
    """
    stopped = False
    report = sys.unraisablehook

    def send_again(dropped: "sys.UnraisableHookArgs") -> None:
        if stopped and issubclass(dropped.exc_type, SystemExit) and threading.current_thread() is MAIN:
            signal.signal(signal.SIGTERM, stop)
            threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (MAIN.ident, signal.SIGTERM)).start()
        else:
            report(dropped)

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        for number in SIGNALS:
            signal.signal(number, _ignore)
        raise SystemExit(0)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    sys.unraisablehook = send_again
    try:
        yield
    except Exception:
        if not stopped:
            raise
        # A signal during the import of a compiled module becomes an ImportError there.
        raise SystemExit(0) from None
    finally:
        sys.unraisablehook = report
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(*_: object) -> None:
    """Do nothing at a signal."""
