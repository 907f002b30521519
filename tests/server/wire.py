"""A client that sends and reads HTTP byte by byte."""

import json
import re
import socket
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from servers import Server


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A connection to a server."""

    def __init__(self, server: Server, *, seconds: float = 20) -> None:
        address = urlsplit(server.url)
        self.host = address.netloc
        self.socket = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=seconds)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, request: str, *headers: str) -> bytes:
        return "\r\n".join([f"{request} HTTP/1.1", f"Host: {self.host}", *headers, "", ""]).encode()

    def send(self, *chunks: bytes) -> None:
        """Send each chunk in its own packet."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, chunk in enumerate(chunks):
            if number:
                time.sleep(0.05)
            self.socket.sendall(chunk)

    def answer(self, *, head: bool = False) -> Answer:
        """Read one answer."""
        while b"\r\n\r\n" not in self._read:
            self._take()
        top, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self._read) < length:
            self._take()
        body, self._read = self._read[:length], self._read[length:]
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
        assert match, first
        return Answer(int(match[1]), headers, body)

    def _take(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._read += data

    def is_closed(self) -> bool:
        """Wait for the end of the connection. Give False if more bytes come first."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
