"""The hosts that the server is known by. A request for another one is refused."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from likeness.errors import BadRequest
from likeness.web.addresses import read_address
from likeness.web.http import error_response

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::\d*)?")
FOR_ANY_HOST = frozenset({"/healthz", "/readyz"})
"""Paths that answer for every host. A load balancer asks them by any name, or by none."""


class KnownHosts:
    """The middleware that refuses requests for a host that is not the server's.

    So no page of another site reaches the server by a name of its own that leads here (DNS rebinding), and no cache in
    front keeps an answer under a false name. Beside ``names``, the server has the address that the connection came in
    on, and the machine's own addresses.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in FOR_ANY_HOST or self._knows(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            refusal = BadRequest(
                "The request names a host that is not this server's: see LIKENESS_BASE_URL and LIKENESS_HOSTS."
            )
            scope["state"]["error"] = refusal.code
            await error_response(refusal, scope["state"]["request_id"])(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"host"), b"")
        found = HOST.fullmatch(given)
        if found is None:
            return False
        name = (found[1] or found[2]).decode("latin-1").lower().removesuffix(".")
        address = read_address(name)
        return name in self.names or (
            address is not None and (address.is_loopback or address == read_address(scope["server"][0]))
        )
