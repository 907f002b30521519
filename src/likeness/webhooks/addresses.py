"""The check of network addresses: a tenant's webhook must give no access to the operator's network (SSRF).

The name is resolved here, and the connection goes to the checked address. So a name cannot change its meaning between
the check and the call.
"""

import asyncio
import ipaddress
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
LOOKUPS_AT_ONCE, LOOKUPS_PER_NAME = 32, 2
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddress(Exception):
    """The name has an address that may not be called."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, also one inside another (RFC 4291, 3056, 4380, 6052)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
        if address.is_site_local:  # RFC 3879: deprecated, but still in use
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_public_name(host: str) -> bool:
    """Whether a host may be public. Every name may be. An address is checked."""
    try:
        return is_public(ipaddress.ip_address(host))
    except ValueError:
        return True


class Names:
    """Looks up names on its own threads, so that a silent name server delays nothing else.

    A look-up cannot be cancelled, and may take longer than its caller waits. So one name has few look-ups at a time.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "webhook-names")
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def find(self, host: str, port: int) -> list[str]:
        """Give a host's addresses.

        Raises OSError if there is none, and TimeoutError while earlier look-ups have no answer.
        """
        with self._lock:
            if self._under_way[host] >= LOOKUPS_PER_NAME:
                raise TimeoutError
            self._under_way[host] += 1
        look_up = self._threads.submit(_look_up, host, port)
        look_up.add_done_callback(lambda _: self._forget(host))  # also if it is cancelled before its turn
        return await asyncio.wrap_future(look_up)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, host: str) -> None:
        with self._lock:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def resolve(names: Names, host: str, port: int, *, private_addresses: bool) -> list[str]:
    """Give the addresses of a host.

    Raises ForbiddenAddress if one of them may not be called, and the errors of ``Names.find``.
    """
    addresses = await names.find(host, port)
    if not private_addresses and not all(
        is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses
    ):
        raise ForbiddenAddress
    return addresses
