"""Which addresses a database may have: never those that only this machine's cloud or network stack answers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.fetch import AddressRules
from rag_core.fetch.addresses import Address, carried
from rag_core.fetch.resolve import system_resolver

_RULES = AddressRules.parse(
    (
        "127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15",
        "::1/128", "fc00::/7", "fec0::/10",
    )
)  # fmt: skip
"""Besides public addresses: loopback and private networks, where databases live."""


def checked_addresses(host: str, port: int) -> list[str]:
    """Every address of a host, all of them checked.

    Raises `InvalidInput` (`SSRF_BLOCKED`) for link-local, instance metadata, multicast, unspecified and reserved
    addresses, also where an IPv6 address carries them, and `Unavailable` when the name does not resolve.
    """
    try:
        addresses = system_resolver(host, port)
    except (OSError, UnicodeError):
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the name of the database host does not resolve") from None
    for text in addresses:
        if _is_forbidden(ipaddress.ip_address(text)):
            raise InvalidInput(Reason.SSRF_BLOCKED, "the database host leads to an address that is never a database")
    return addresses


def open_socket(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """A connection to the first of these addresses that answers. Raises `OSError` of the last when none does."""
    for number, address in enumerate(addresses, start=1):
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("no address")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its spelling alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_forbidden(address: Address) -> bool:
    # Nobody has a reason to spell loopback as an address of another network.
    return _RULES.problem(address) is not None or any(inner.is_loopback for inner in carried(address))
