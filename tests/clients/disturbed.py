"""A simulated bad network: a transport that fails as a test says, and then passes requests on to the real server."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

Fault = int | type[httpx.TransportError]
"""A status to answer with, or an error of the connection."""


@dataclass
class Disturbed(httpx.BaseTransport):
    """Applies one fault to each request of a path, as long as there are faults, and keeps all requests."""

    path: str
    faults: list[Fault]
    after: bool = False
    """Whether the server carries out the call before its answer is lost."""
    retry_after: str | None = "0"
    seen: list[httpx.Request] = field(default_factory=list)
    real: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.url.path != self.path or not self.faults:
            return self.real.handle_request(request)
        fault = self.faults.pop(0)
        if self.after:
            answer = self.real.handle_request(request)
            answer.read()
            answer.close()
        if isinstance(fault, int):
            headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
            return httpx.Response(fault, json={"error": "SIMULATED", "message": "simulated"}, headers=headers)
        raise fault("simulated")

    def close(self) -> None:
        self.real.close()

    @property
    def calls(self) -> Iterator[httpx.Request]:
        return (request for request in self.seen if request.url.path == self.path)
