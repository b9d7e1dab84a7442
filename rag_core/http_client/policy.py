"""The policy of HTTP requests: allowed URLs, and limits on the size and time of responses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

import httpx

from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.http_client.addresses import Address, AddressRules
from rag_core.http_client.own_parts import NO_PARTS, OwnParts
from rag_core.settings import split_list

if TYPE_CHECKING:
    from rag_core.settings import Settings, SourceAllowance

MAX_URL_CHARS: Final = 4096
OWN_PART: Final = "a part of the platform itself"
_HOST: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]*|[0-9a-f:][0-9a-f]*+:[0-9a-f:.]*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpOrigin:
    """Scheme, host (lower case, IDNA, no trailing dot) and port, to which credentials are bound."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}")


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits; times are in seconds. `seconds` is for a request with redirects, from name resolution to last byte."""

    redirects: int = 5
    wire_bytes: int = 50_000_000
    decoded_bytes: int = 50_000_000
    connect_seconds: float = 10
    read_seconds: float = 30
    seconds: float = 60


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """The URLs and addresses that may be fetched.

    `trusted` is an origin from the settings: its port and all addresses of its name are allowed, except metadata
    addresses and addresses that are not hosts. `own` is what no source reaches, whatever networks are allowed.
    """

    addresses: AddressRules = field(default_factory=AddressRules)
    ports: tuple[range, ...] = (range(80, 81), range(443, 444), range(8080, 8081), range(8443, 8444))
    schemes: frozenset[str] = frozenset({"http", "https"})
    limits: FetchLimits = field(default_factory=FetchLimits)
    trusted: HttpOrigin | None = None
    own: OwnParts = NO_PARTS
    allowance: SourceAllowance | None = None
    """The only hosts that may be called, on every hop: those of the tenant that added the source."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The policy for sources: public addresses, plus RAG_FETCH_ALLOW_NETWORKS and RAG_FETCH_PORTS."""
        limits = FetchLimits(
            redirects=settings.fetch_max_redirects,
            wire_bytes=settings.max_file_bytes,
            decoded_bytes=settings.max_file_bytes,
            seconds=settings.fetch_timeout_seconds,
        )
        rules = AddressRules.parse(split_list(settings.fetch_allow_networks))
        return cls(
            rules, parse_ports(split_list(settings.fetch_ports)), limits=limits, own=OwnParts.from_settings(settings)
        )

    @classmethod
    def for_endpoint(cls, url: str, limits: FetchLimits | None = None) -> Self:
        """The policy for one endpoint of the settings: only its origin. Raises as `check_url`."""
        parsed = _parse(url)
        schemes = frozenset({"http", "https"} & {parsed.scheme})
        return cls(AddressRules(), (), schemes, limits or FetchLimits(), origin_of(parsed))

    def with_seconds(self, seconds: float) -> FetchPolicy:
        """The same policy with another deadline."""
        return replace(self, limits=replace(self.limits, seconds=seconds))

    def check_url(self, url: str | httpx.URL) -> httpx.URL:
        """Normalise a URL: host in lower case and IDNA, no trailing dot, no fragment.

        Raises `InvalidInput`: `URL_SCHEME`, `URL_INVALID` (no host, a user name or password, too long, not a URL),
        `URL_PORT`. Raises `PermissionDenied` (`SOURCE_NOT_ALLOWED`) for a host that the tenant's list does not name.
        """
        parsed = _parse(url)
        if parsed.scheme not in self.schemes:
            raise InvalidInput(
                Reason.URL_SCHEME, f"{parsed.scheme or 'no scheme'}: is not fetched, only http and https"
            )
        if parsed.userinfo:
            raise InvalidInput(Reason.URL_INVALID, "a URL must not hold a user name or password")
        origin = origin_of(parsed)
        if not _HOST.fullmatch(origin.host):
            raise InvalidInput(Reason.URL_INVALID, "the URL names no host")
        if origin != self.trusted and not any(origin.port in ports for ports in self.ports):
            raise InvalidInput(
                Reason.URL_PORT, f"port {origin.port} is not allowed; RAG_FETCH_PORTS lists those that are"
            )
        if self.allowance is not None and not self.allowance.names_host(origin.host, origin.port):
            message = f"{origin} is not a host that your tenant may reach (RAG_SOURCE_ALLOWANCES)"
            raise PermissionDenied(Reason.SOURCE_NOT_ALLOWED, message)
        changes = {"host": origin.host} if parsed.host.endswith(".") else {}
        return parsed.copy_with(fragment=None, **changes)

    def address_problem(self, host: str, port: int, address: Address) -> str | None:
        """The reason why `address`, to which `host` resolved, may not be connected to."""
        problem = self.addresses.problem(address)
        if problem is None and self.own.include(host, port, address):
            return OWN_PART
        if problem and self.trusted and (_normal_host(host), port) == (self.trusted.host, self.trusted.port):
            return None if "metadata" not in problem and "no host" not in problem else problem
        return problem


def origin_of(url: httpx.URL | str) -> HttpOrigin:
    """The origin of a valid URL."""
    parsed = httpx.URL(url)
    port = parsed.port if parsed.port is not None else _DEFAULT_PORTS.get(parsed.scheme, 0)
    return HttpOrigin(parsed.scheme, _normal_host(parsed.raw_host.decode("ascii")), port)


def parse_ports(texts: Iterable[str]) -> tuple[range, ...]:
    """Parse ports and port ranges (`443`, `8000-8999`). Raises `ValueError`."""
    spans = []
    for text in texts:
        first, _, last = text.partition("-")
        span = range(int(first), int(last or first) + 1)
        if not span or span[0] < 1 or span[-1] > 65_535:
            raise ValueError(f"not a port or a span of ports: {text}")
        spans.append(span)
    return tuple(spans)


def _normal_host(host: str) -> str:
    return host.strip("[]").lower().rstrip(".")


def _parse(url: str | httpx.URL) -> httpx.URL:
    text = str(url)
    if len(text) > MAX_URL_CHARS:
        raise InvalidInput(Reason.URL_INVALID, f"a URL longer than {MAX_URL_CHARS} characters is not fetched")
    try:
        parsed = httpx.URL(url)
        parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError, TypeError):
        raise InvalidInput(Reason.URL_INVALID, "not a valid URL") from None
    return parsed
