"""A WebSocket on one connection: uvicorn's protocol. It can lose its place until its first message arrives."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from likeness.server.connections import Connections


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol for WebSockets, with a place among the connections."""

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = connections

    def connection_made(self, transport: Any) -> None:
        self._places.enter(self, 0)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        super().connection_lost(exc)

    def send_receive_event_to_app(self) -> None:
        self._places.heard(self)
        super().send_receive_event_to_app()

    def drop(self) -> None:
        self.transport.abort()
