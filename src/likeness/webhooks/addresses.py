"""Which network addresses may be called: a tenant's webhook must not become a way into the operator's network (SSRF).

The name is resolved here and the connection goes to the address that was judged, so that a name cannot mean one thing
when it is looked at and another when it is called.
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
    """The name leads to an address that may not be called."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, whatever it is wrapped in (RFC 4291, 3056, 4380, 6052)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
        if address.is_site_local:  # RFC 3879: deprecated, and in use all the same
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_public_name(host: str) -> bool:
    """Whether a host may be public: a name may, an address is judged."""
    try:
        return is_public(ipaddress.ip_address(host))
    except ValueError:
        return True


class Names:
    """Looks names up, on threads of its own: a name server that does not answer holds up nothing else.

    A look-up cannot be called back, and may take longer than anybody waits. So one name has few at a time.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "webhook-names")
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def find(self, host: str, port: int) -> list[str]:
        """Give a host's addresses.

        Raises OSError when there is none, TimeoutError while earlier look-ups are without answer.
        """
        with self._lock:
            if self._under_way[host] >= LOOKUPS_PER_NAME:
                raise TimeoutError
            self._under_way[host] += 1
        look_up = self._threads.submit(_look_up, host, port)
        look_up.add_done_callback(lambda _: self._forget(host))  # also when it is given up before its turn
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

    Raises ForbiddenAddress if any may not be called, and what ``Names.find`` raises.
    """
    addresses = await names.find(host, port)
    if not private_addresses and not all(
        is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses
    ):
        raise ForbiddenAddress
    return addresses
