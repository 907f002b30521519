"""One browser's socket: it reads whole messages, sends JSON, and distinguishes a time-out from a lost connection."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from likeness.sessions.attestation.base import Attestation
from likeness.sessions.capture.signing import FrameSigner

_GONE = (WebSocketDisconnect, RuntimeError, OSError)
SEND_SECONDS = 5.0
"""A message that the browser does not take within this time is dropped."""


class ConnectionLost(Exception):
    """The browser went away."""


class BrowserConnection:
    """Reads without losing a message: a read that timed out continues with the next call."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._reading: asyncio.Task[dict[str, Any]] | None = None

    async def receive(self, *, within_seconds: float) -> str | bytes | None:
        """Give the next message, or None if none comes in time. Raises ConnectionLost."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._receive())
        done, _ = await asyncio.wait({self._reading}, timeout=within_seconds)
        if not done:
            return None
        message, self._reading = self._reading.result(), None
        if message["type"] == "websocket.disconnect":
            raise ConnectionLost
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message. The next :meth:`receive` notices a lost connection."""
        if self._websocket.client_state is WebSocketState.CONNECTED:
            with contextlib.suppress(*_GONE, TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._websocket.send_json(message)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        with contextlib.suppress(*_GONE):
            await self._websocket.close()

    async def _receive(self) -> dict[str, Any]:
        return dict(await self._websocket.receive())


@dataclass(slots=True, eq=False)
class Participant:
    """A connection to a capture, and the key that identifies its device."""

    connection: BrowserConnection
    device: str
    signer: FrameSigner = field(default_factory=FrameSigner)
    attestation: Attestation | None = None
    """What was found out about the app, where this server verifies attestations."""
    dismissed: bool = False
    """Whether its device has returned with a newer connection."""
