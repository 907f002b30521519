"""Which network addresses may be called: a tenant's webhook must not become a way into the operator's network (SSRF).

The name is resolved here and the connection goes to the address that was judged, so that a name cannot mean one thing when it
is looked at and another when it is called.
"""

import asyncio
import ipaddress
import socket

LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
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


async def resolve(host: str, port: int, *, private_addresses: bool) -> list[str]:
    """Give the addresses of a host. Raises ForbiddenAddress if any may not be called, OSError when there is none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private_addresses and not all(
        is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses
    ):
        raise ForbiddenAddress
    return addresses
