"""Internet addresses of callers and of this server."""

import ipaddress

PeerAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_own_machine(host: str) -> bool:
    """Whether a host is the machine that asks: ``localhost``, a name below it, or a loopback address."""
    address = read_address(host.strip("[]"))
    return (address is not None and address.is_loopback) or f".{host}".endswith(".localhost")


def read_address(text: str) -> PeerAddress | None:
    """Read an address, or give None. An IPv4 address in the form of IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
