"""The platform's own parts, which no source and no webhook calls: they trust what reaches them from here.

They are compared by host and port after resolution, because one port has many names: `localhost`, `127.1`, an address
of this machine, the name of a Service.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from rag_core.http_client.addresses import Address, carried
from rag_core.settings import split_list

if TYPE_CHECKING:
    from rag_core.settings import Settings

Endpoint = tuple[str, int | None]
"""Host in lower case, and port; `None`: every port of the host."""
_QDRANT_PORTS: Final = (6333, 6334, 6335)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379, "postgresql": 5432}
_PORT: Final = "_port"
"""Pattern of the name of a setting that has the port of a part on this machine."""
_PORT_PAIRS: Final = ("replica_ports", "green_ports")
_ADDRESSES: Final = (
    "index_endpoint", "gateway_blue", "gateway_green", "gateway_interfaces", "own_hosts",
)  # fmt: skip
_SERVER_STEPS: Final = 10
"""Between the ports of two query servers of the local stack; the candidate release is ten of them above."""
_FRESH_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class OwnParts:
    """Addresses of the platform's own services: `ports` of this machine, and `endpoints` elsewhere."""

    ports: frozenset[int] = frozenset()
    endpoints: frozenset[Endpoint] = frozenset()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """All that the settings name: the ports of the local stack, database, index, Redis, and `RAG_OWN_HOSTS`."""
        return cls(frozenset(_local_ports(settings)), frozenset(_endpoints(settings)))

    def include(self, host: str, port: int, address: Address) -> bool:
        """Return whether a port at an address, to which `host` resolved, is one of them."""
        if not self.ports and not self.endpoints:
            return False
        if any(_is_of(endpoint, host.strip("[]").lower().rstrip("."), port) for endpoint in self.endpoints):
            return True
        forms = {address, *carried(address)}
        mine = any(map(_is_this_machine, forms))
        if mine and port in self.ports:
            return True
        for known, of_port in self.endpoints:
            if of_port not in (None, port):
                continue
            found = _addresses(known)
            if forms & found or (mine and any(map(_is_this_machine, found))):
                return True
        return False


NO_PARTS: Final = OwnParts()


def says_where_parts_listen(setting: str) -> bool:
    """Return whether a program that calls other hosts reads a setting, so that it calls no part of the platform."""
    return setting.endswith(_PORT) or setting in {"replicas", *_PORT_PAIRS, *_ADDRESSES}


_resolved: dict[str, tuple[float, frozenset[Address]]] = {}


def _addresses(host: str) -> frozenset[Address]:
    known = _resolved.get(host)
    if known is None or known[0] < time.monotonic():
        known = _resolved[host] = (time.monotonic() + _FRESH_SECONDS, frozenset(_resolve(host)))
    return known[1]


def _resolve(host: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []  # then nobody reaches it by an address that we know; its name is refused anyway
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _is_of(endpoint: Endpoint, host: str, port: int) -> bool:
    return endpoint[0] == host and endpoint[1] in (None, port)


def _is_this_machine(address: Address) -> bool:
    """Return whether a packet to the address stays here: only then can a socket be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _local_ports(settings: Settings) -> Iterator[int]:
    """The port of every setting that names one, and those of further query servers and of a candidate release."""
    for name in _port_settings(type(settings)):
        port = getattr(settings, name)
        if port is not None:
            yield port
    named = [pair for name in _PORT_PAIRS for pair in split_list(getattr(settings, name) or "")]
    yield from (int(port) for pair in named for port in pair.split("/") if port.isdigit())
    for first in (settings.query_port, settings.metrics_port):
        for number in range(settings.replicas):
            port = first + number * _SERVER_STEPS
            yield from (port, port + 10 * _SERVER_STEPS)


@cache
def _port_settings(settings: type[Settings]) -> tuple[str, ...]:
    return tuple(name for name in settings.model_fields if name.endswith(_PORT))


def _endpoints(settings: Settings) -> Iterator[Endpoint]:
    for secret in (settings.database_url, settings.database_owner_url):
        if secret is not None:
            yield from _database(secret.get_secret_value())
    for url in split_list(settings.qdrant_url or ""):
        yield from _of_url(url)
        yield from ((host, port) for host, _ in _of_url(url) for port in _QDRANT_PORTS)
    redis = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
    for url in filter(None, (redis, settings.prometheus_url, settings.alertmanager_url)):
        yield from _of_url(url)
    for name in _ADDRESSES:
        yield from map(parse_endpoint, split_list(getattr(settings, name) or ""))
    yield settings.code_location_host.lower(), settings.code_location_port


def parse_endpoint(text: str) -> Endpoint:
    """`host`, `host:port`, an IPv6 address, or one in brackets with a port."""
    bare = text.strip().lower()
    if bare.count(":") > 1 and not bare.startswith("["):
        return bare, None
    parts = urlsplit(f"//{bare}")
    return (parts.hostname or "").rstrip("."), parts.port


def _of_url(url: str) -> Iterator[Endpoint]:
    parts = urlsplit(url if "://" in url else f"//{url}")
    if parts.hostname:
        yield parts.hostname.lower().rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _database(url: str) -> Iterable[Endpoint]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(url.replace("postgresql+psycopg", "postgresql", 1))
    except ProgrammingError:
        return
    ports = str(given.get("port") or _DEFAULT_PORTS["postgresql"]).split(",")
    for name in ("host", "hostaddr"):
        hosts = [host for host in str(given.get(name) or "").split(",") if host and not host.startswith("/")]
        for number, host in enumerate(hosts):
            yield host.lower(), int(ports[number if number < len(ports) else 0] or _DEFAULT_PORTS["postgresql"])
