"""Which addresses a database may have: never those that only this machine's cloud or network stack answers."""

from __future__ import annotations

import ipaddress
import socket

from rag_core.errors import InvalidInput, Reason, Unavailable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def checked_addresses(host: str, port: int) -> list[str]:
    """Every address of a host, all of them checked. Loopback and private networks are where databases live.

    Raises `InvalidInput` (`SSRF_BLOCKED`) for link-local (instance metadata), multicast, unspecified and reserved
    addresses, also where an IPv6 address carries them, and `Unavailable` when the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the name of the database host does not resolve") from None
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    for text in addresses:
        if _forbidden(ipaddress.ip_address(text.partition("%")[0])):
            raise InvalidInput(Reason.SSRF_BLOCKED, "the database host leads to an address that is never a database")
    return addresses


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its spelling alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _forbidden(address: _Address) -> bool:
    inner = _embedded(address)
    if inner is not None:
        return _forbidden(inner) or inner.is_loopback
    loopback = address.is_loopback
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not loopback)
    )


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
