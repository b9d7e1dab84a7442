"""The rules for IP addresses that may be connected to: public ones, and networks that an operator allows.

An IPv6 address can contain an IPv4 address that a translator or tunnel on the route uses. The contained address is
checked as well, so that no notation of a private address passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# `is_global` differs between Python releases for these, so they are listed.
_NEVER_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0:0/96",
        "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
# Metadata addresses, where clouds serve credentials to any caller inside. Azure's is a public address.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = IPv6Network("::/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
# The range routed on the internet; all other IPv6 is local, reserved, or a notation of IPv4.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True)
class AddressRules:
    """The rules with the operator's `allowed` networks, which need not be public.

    A metadata address must be allowed by its own network (`169.254.169.254/32`); multicast, unspecified and broadcast
    addresses are never allowed.
    """

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, networks: Iterable[str]) -> Self:
        """Parse networks. Raises `ValueError` for invalid text."""
        return cls(tuple(ip_network(text) for text in networks))

    def problem(self, address: Address) -> str | None:
        """The reason why an address may not be connected to; `None` when it may."""
        bare = IPv6Address(int(address)) if isinstance(address, IPv6Address) else address  # without its scope id
        for form in (bare, *carried(bare)):
            problem = self._problem(form)
            if problem is not None:
                return problem if form == bare else f"{problem} in another notation"
        return None

    def _problem(self, address: Address) -> str | None:
        if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
            return "an address that is no host"
        if address in _METADATA:
            exact = any(net.num_addresses == 1 and address in net for net in self._of(address))
            return None if exact else "a metadata address of a cloud"
        if carried(address) and not any(address in net for net in _NEVER_PUBLIC if net != _COMPATIBLE):
            return None  # decided by the address it contains
        if any(address in net for net in self._of(address)):
            return None
        if address.is_loopback:
            return "a loopback address"
        if any(address in net for net in _NEVER_PUBLIC if net.version == address.version) or not address.is_global:
            return "a private or reserved address"
        if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
            return "an address that no public network has"
        return None

    def _of(self, address: Address) -> tuple[Network, ...]:
        return tuple(net for net in self.allowed if net.version == address.version)


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses in an IPv6 address: mapped, translated, compatible, NAT64, 6to4, Teredo and ISATAP."""
    if isinstance(address, IPv4Address):
        return ()
    low = int(address) & 0xFFFF_FFFF
    found: list[IPv4Address] = []
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address in _NAT64 or address in _NAT64_LOCAL or address in _TRANSLATED or (address in _COMPATIBLE and low > 1):
        found.append(IPv4Address(low))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        found.append(IPv4Address(low))
    return tuple(found)
