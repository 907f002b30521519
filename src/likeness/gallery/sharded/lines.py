"""The lines on which servers ask shards: one connection for each server and shard, beside Ray.

A call of a Ray actor costs both sides some milliseconds of a core, more than a small scan. A question on a line costs a
tenth of that.

Messages are pickled, so a line is for those who know the shard's key, which they get through Ray. Both sides prove it
before they read any message. With ``RAY_USE_TLS=1`` a line uses TLS with Ray's certificates.
"""

import asyncio
import hmac
import logging
import os
import secrets
import ssl
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

log = logging.getLogger("likeness.gallery")
PROOF_SECONDS: Final = 5.0
"""Longest time until a caller has proved that it knows the key."""
LARGEST_MESSAGE: Final = 256 << 20
_KEY_BYTES: Final = 32
_HEAD: Final = struct.Struct("!QI")
"""A message's number and its length."""
_CALLER, _SHARD = b"caller", b"shard"
BROKEN: Final = (OSError, EOFError)
"""The errors of a line that broke, or of which one side is a stranger."""


@dataclass(frozen=True, slots=True)
class LineAddress:
    """Where a shard answers, and the key of its lines."""

    host: str
    port: int
    key: bytes = field(repr=False)


class LinePort:
    """Answers messages on lines. ``answer`` runs on the threads of ``executor``."""

    def __init__(self, host: str, answer: Callable[[bytes], bytes], executor: Executor) -> None:
        """Listen on a free port of an address of this machine."""
        self._answer = answer
        self._executor = executor
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, host, 0, ssl=_tls(ssl.Purpose.CLIENT_AUTH))
        )
        self.address = LineAddress(host, self._server.sockets[0].getsockname()[1], self._key)
        self._thread = threading.Thread(target=self._loop.run_forever, name="shard-lines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the port and its lines."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)  # connections close in the next turns of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await _prove(reader, writer, self._key, mine=_SHARD, theirs=_CALLER)
            while True:
                number, message = await _read(reader)
                task = asyncio.create_task(self._reply(number, message, writer))
                answers.add(task)
                task.add_done_callback(answers.discard)
        except (*BROKEN, asyncio.CancelledError):
            pass  # the caller has left, or is a stranger
        finally:
            for task in answers:
                task.cancel()
            writer.transport.abort()

    async def _reply(self, number: int, message: bytes, writer: asyncio.StreamWriter) -> None:
        answer = await self._loop.run_in_executor(self._executor, self._answer, message)
        writer.write(_HEAD.pack(number, len(answer)) + answer)
        with suppress(*BROKEN):
            await writer.drain()


class Line:
    """An open line of the present event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read_all(reader))

    @classmethod
    async def open(cls, address: LineAddress) -> "Line":
        """Connect, and prove the key to each other. Raises one of ``BROKEN``."""
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=_tls(ssl.Purpose.SERVER_AUTH))
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await _prove(reader, writer, address.key, mine=_CALLER, theirs=_SHARD)
        except BaseException:
            writer.transport.abort()
            raise
        return cls(reader, writer)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked on the present event loop."""
        return not self._reading.done() and self._loop is asyncio.get_running_loop()

    async def ask(self, message: bytes) -> bytes:
        """Send a message, and give its answer. Raises ConnectionError when the line breaks, or is not open."""
        if not self.is_open:
            raise ConnectionError("the shard's line is not open")
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._asked[number] = answer
        try:
            self._writer.write(_HEAD.pack(number, len(message)) + message)
            return await answer
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Close the line. What was asked gets ConnectionError."""
        self._reading.cancel()
        self._end()  # a task that is cancelled before it begins does nothing

    async def _read_all(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                number, answer = await _read(reader)
                if (asked := self._asked.get(number)) and not asked.done():
                    asked.set_result(answer)
        except BROKEN:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        self._writer.transport.abort()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionError("the shard's line broke"))


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    number, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if length > LARGEST_MESSAGE:
        raise ConnectionError("a message is too long")
    return number, await reader.readexactly(length)


async def _prove(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes, *, mine: bytes, theirs: bytes
) -> None:
    """Prove the key, and demand its proof. Raises ConnectionError."""
    my_challenge = secrets.token_bytes(_KEY_BYTES)
    writer.write(my_challenge)
    their_challenge = await reader.readexactly(_KEY_BYTES)
    writer.write(_proof(key, mine, their_challenge))
    if not hmac.compare_digest(await reader.readexactly(_KEY_BYTES), _proof(key, theirs, my_challenge)):
        raise ConnectionError("the other side does not know the key of the line")


def _proof(key: bytes, side: bytes, challenge: bytes) -> bytes:
    return hmac.digest(key, side + challenge, "sha256")


def _tls(purpose: ssl.Purpose) -> ssl.SSLContext | None:
    """Give TLS with Ray's certificates, where Ray uses it. Each side demands one of the other."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in {"1", "true"}:
        return None
    context = ssl.create_default_context(purpose, cafile=os.environ["RAY_TLS_CA_CERT"])
    context.load_cert_chain(os.environ["RAY_TLS_SERVER_CERT"], os.environ["RAY_TLS_SERVER_KEY"])
    context.check_hostname = False  # an actor has no name of its own: the authority and the key prove it
    context.verify_mode = ssl.CERT_REQUIRED
    return context
