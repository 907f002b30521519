"""What the proxies in front of the server say of a caller: its address, and the certificate of its TLS connection."""

import base64
import binascii
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import HTTPConnection

from likeness.web.addresses import PeerAddress, read_address

PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
BYTES = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
"""A byte sequence as RFC 8941 writes it, and so ``Client-Cert`` of RFC 9440."""
PORT = re.compile(r"\[(.+)\](?::\d+)?|([0-9.]+):\d+")


@dataclass(frozen=True, slots=True)
class Caller:
    """What the connection says of a caller.

    ``certificate`` is the SHA-256 of its client certificate, as ``x5t#S256`` of RFC 8705 has it. What is unknown is
    None.
    """

    address: PeerAddress | None = None
    certificate: str | None = None


class Proxies:
    """Believes the proxies of the given networks, and nobody else."""

    def __init__(self, networks: str | None, certificate_header: str | None = None) -> None:
        """Take networks with commas between them, and the header in which a proxy gives the certificate."""
        self._networks = [ipaddress.ip_network(each) for each in networks.split(",")] if networks else []
        self._certificate_header = certificate_header

    def caller(self, request: HTTPConnection) -> Caller:
        """Give what is known of the caller of a request.

        The address is that of the connection. If that is a proxy's, it is the last one in ``X-Forwarded-For`` that is
        no proxy's. A proxy's header has the certificate as a PEM with percent-encoding, or as RFC 9440 says.
        """
        connected = read_address(request.client.host) if request.client else None
        if not self._has(connected):
            return Caller(connected)
        given = request.headers.get(self._certificate_header) if self._certificate_header else None
        return Caller(self._forwarded(request, connected), thumbprint_of(unquote(given)) if given else None)

    def _forwarded(self, request: HTTPConnection, address: PeerAddress | None) -> PeerAddress | None:
        named = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        while named and self._has(address):
            text = named.pop().strip()
            if not text:
                break
            with_port = PORT.fullmatch(text)
            address = read_address((with_port[1] or with_port[2]) if with_port else text)
        return address

    def _has(self, address: PeerAddress | None) -> bool:
        return address is not None and any(address in each for each in self._networks)


def thumbprint_of(text: str) -> str | None:
    """Give the SHA-256 of a certificate in base64url, or of the first one of a PEM. None for a text that is none."""
    found = PEM.match(text) or BYTES.fullmatch(text)
    try:
        content = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        return None
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return digest if content else None
