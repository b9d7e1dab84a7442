"""Options of the gateway: addresses, limits, keys and the file with the service descriptors."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values

import ragproto
from query_server.rate_limits import Override, overrides_of
from rag_core.browser_guard import BrowserGuard
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from rag_tracing import Destination, destination_of
from ragctl.call_settings import reachable
from ragctl.runtime_folder import runtime_folder

Config = dict[str, object]
"""A piece of Envoy configuration, ready for YAML."""

_DEADLINE_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address Envoy connects to."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls allowed. A burst is the size of a bucket that is refilled at the rate; 0 a minute switches a limit off."""

    per_minute: int = 100
    per_hour: int = 1000
    burst: int = 100
    ip_per_minute: int = 1200
    ip_burst: int = 300
    pages_per_minute: int = 60
    clients: int = 10_000
    refused_keys_per_minute: int = 30
    overrides: tuple[Override, ...] = ()
    free_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Jwt:
    """Rules for checking tokens, the server's own. One of `jwks` (a document) and `jwks_url` is set."""

    issuer: str
    audience: str
    leeway: int
    jwks: str = ""
    jwks_url: str = ""
    platform_groups: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the certificate chain and the private key; replaced files are taken up while running."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class BackendTls:
    """TLS towards the query servers: who signs their certificates, the name these hold, and what the gateway shows."""

    authority: Path
    name: str
    client: Tls | None = None


@dataclass(frozen=True, slots=True)
class Backends:
    """One colour of query servers: addresses, or a DNS name whose every address is one (a headless service)."""

    query: tuple[Endpoint, ...] = ()
    probes: tuple[Endpoint, ...] = ()
    discovery: Literal["file", "dns"] = "file"


@dataclass(frozen=True, slots=True)
class SharedCounters:
    """The rate-limit service that counts for all gateways. `closed`: without an answer in `seconds`, refuse."""

    service: Backends
    closed: bool = False
    seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Everything the configuration depends on, so that equal options give an equal file.

    `max_seconds` caps any call and is a little above the server's own cap, so that callers see the server's error.
    `request_seconds` is what a request may take to arrive complete; until then no query server hears of it.
    `green_percent` of the requests go to the second colour. `metrics` is where Prometheus may read, when anywhere.
    `searches` are let in flight to each colour, more are refused as OVERLOADED; 0 leaves that to the servers.
    `interfaces` are the servers of the open interfaces; without any their paths do not exist. They call the query
    servers at `internal`, which no client may reach.
    `sockets` is a private folder for the admin interface; of it, `admin_port` serves what the platform uses. Of pages
    that show something, only those called by an address, localhost or one of `allowed_hosts` answer.
    `shared` counts clients for all gateways; without it each counts for itself.
    `traces` is where spans go.
    """

    listen: Endpoint
    admin_port: int
    sockets: Path
    blue: Backends
    descriptors: Path
    max_seconds: float
    max_request_bytes: int
    request_seconds: float = 10
    heap_bytes: int = 402_653_184
    green: Backends = Backends()
    green_percent: int = 0
    jwt: Jwt | None = None
    limits: Limits = field(default_factory=Limits)
    cors_origins: tuple[str, ...] = ()
    tls: Tls | None = None
    backend_tls: BackendTls | None = None
    expose_admin: bool = False
    trusted_hops: int = 0
    metrics: Endpoint | None = None
    max_client_connections: int = 10_000
    max_connections: int = 1024
    searches: int = 0
    interfaces: Backends = Backends()
    internal: Endpoint | None = None
    shared: SharedCounters | None = None
    traces: Destination | None = None
    allowed_hosts: tuple[str, ...] = ()

    @property
    def admin_socket(self) -> Path:
        """The whole admin interface, for this user alone."""
        return self.sockets / f"envoy-{self.admin_port}.sock"

    @classmethod
    def from_settings(cls, settings: Settings, *, green_percent: int = 0) -> GatewayOptions:
        """Options of these settings. Raises `ConfigError` for values that contradict each other."""
        green = _named(settings.gateway_green, settings) if settings.gateway_green else Backends()
        if green_percent and not green.query:
            raise ConfigError(Reason.CONFIG_INVALID, "no traffic can go to green: RAG_GATEWAY_GREEN is not set")
        return cls(
            listen=Endpoint(settings.host, settings.gateway_port),
            admin_port=settings.envoy_admin_port,
            sockets=runtime_folder(settings.home),
            blue=_named(settings.gateway_blue, settings) if settings.gateway_blue else local_backends(settings),
            green=green,
            green_percent=green_percent,
            descriptors=Path(ragproto.__file__).parent / "descriptors.binpb",
            max_seconds=settings.max_deadline_seconds + _DEADLINE_SLACK_SECONDS,
            max_request_bytes=settings.max_message_bytes,
            request_seconds=settings.gateway_request_seconds,
            heap_bytes=settings.gateway_heap_bytes,
            jwt=_jwt(settings),
            limits=_limits(settings),
            cors_origins=tuple(sorted(settings.gateway_cors_origins)),
            tls=_tls(settings),
            backend_tls=_backend_tls(settings),
            expose_admin=settings.gateway_expose_admin,
            trusted_hops=settings.gateway_trusted_hops,
            metrics=Endpoint(settings.host, settings.gateway_metrics_port) if settings.gateway_metrics_port else None,
            searches=_searches(settings),
            interfaces=_interfaces(settings),
            internal=Endpoint("127.0.0.1", settings.gateway_internal_port),
            shared=_shared(settings),
            traces=trace_destination(settings),
            allowed_hosts=tuple(sorted(BrowserGuard.of(settings).hosts)),
        )


def local_backends(settings: Settings) -> Backends:
    """The query servers of this host's stack."""
    host = reachable(settings.host)
    ports = replica_ports(settings)
    return Backends(
        query=tuple(Endpoint(host, query) for query, _ in ports),
        probes=tuple(Endpoint(host, probe) for _, probe in ports),
    )


def replica_ports(settings: Settings) -> list[tuple[int, int]]:
    """gRPC and HTTP port of each query server of the local stack.

    Raises `ConfigError` (`CONFIG_INVALID`) when RAG_REPLICA_PORTS does not name a pair for each further replica.
    """
    first = (settings.query_port, settings.metrics_port)
    if settings.replica_ports is None:
        step = 10
        return [(first[0] + step * number, first[1] + step * number) for number in range(settings.replicas)]
    pairs = port_pairs("RAG_REPLICA_PORTS", settings.replica_ports)
    if len(pairs) < settings.replicas - 1:
        raise ConfigError(Reason.CONFIG_INVALID, f"RAG_REPLICA_PORTS: names {len(pairs)} pairs for further replicas")
    return [first, *pairs[: settings.replicas - 1]]


def port_pairs(setting: str, value: str) -> list[tuple[int, int]]:
    """Pairs of a gRPC and an HTTP port. Raises `ConfigError` (`CONFIG_INVALID`)."""
    try:
        return [(int(query), int(http)) for query, http in (pair.split("/") for pair in value.split(","))]
    except ValueError:
        raise ConfigError(Reason.CONFIG_INVALID, f"{setting}: pairs like 50061/9474, with commas") from None


def trace_destination(settings: Settings) -> Destination | None:
    """Return the collector of the gateway's spans, by the `OTEL_*` variables of now or of the stack's start."""
    return destination_of(telemetry_environment(settings))


def telemetry_environment(settings: Settings) -> dict[str, str]:
    """The `OTEL_*` variables of the installation; without any, those of the viewer of `rag up --traces`."""
    path = settings.home / "stack.env"
    kept = dotenv_values(path, interpolate=False) if path.exists() else {}
    known = {name: value for name, value in {**kept, **os.environ}.items() if name.startswith("OTEL_") and value}
    if settings.traces and not any(name.endswith("ENDPOINT") for name in known):
        known["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{settings.traces_port}"
    return known


def _interfaces(settings: Settings) -> Backends:
    if settings.gateway_interfaces:
        return replace(_named(settings.gateway_interfaces, settings), probes=())
    if settings.gateway_blue:
        return Backends()
    return Backends((Endpoint(reachable(settings.host), settings.interfaces_port),))


def _shared(settings: Settings) -> SharedCounters | None:
    named = settings.gateway_rate_limits
    if named:
        service = replace(_named(named, settings), probes=())
    elif settings.redis_url is not None and not settings.gateway_blue:
        service = Backends((Endpoint(reachable(settings.host), settings.rate_limits_port),))
    else:
        return None
    closed = settings.gateway_rate_limits_fail == "closed"
    return SharedCounters(service, closed, settings.gateway_rate_limits_seconds)


def _named(address: str, settings: Settings) -> Backends:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            Reason.CONFIG_INVALID,
            "RAG_GATEWAY_BLUE, RAG_GATEWAY_GREEN, RAG_GATEWAY_INTERFACES, RAG_GATEWAY_RATE_LIMITS: host:port",
        )
    query = (Endpoint(host, int(port)),)
    return Backends(query, (Endpoint(host, settings.metrics_port),), settings.gateway_discovery)


def _jwt(settings: Settings) -> Jwt:
    rules = (settings.jwt_issuer, settings.jwt_audience, settings.jwt_leeway_seconds)
    groups = settings.platform_groups
    if settings.jwt_jwks_url is not None:
        return Jwt(*rules, jwks_url=settings.jwt_jwks_url, platform_groups=groups)
    try:
        return Jwt(*rules, jwks=settings.jwks_path.read_text("utf-8"), platform_groups=groups)
    except OSError:
        raise ConfigError(
            Reason.SECRET_MISSING,
            "no public keys to verify tokens with: run `rag up` first, or set RAG_JWT_PUBLIC_KEYS or RAG_JWT_JWKS_URL",
        ) from None


def _searches(settings: Settings) -> int:
    if settings.gateway_searches is not None:
        return settings.gateway_searches
    if settings.gateway_blue is not None:
        return 0  # behind a name there may be any number of servers
    return settings.replicas * (settings.search_slots + settings.max_queued_searches)


def _limits(settings: Settings) -> Limits:
    local = settings.environment == "development"
    return Limits(
        per_minute=settings.gateway_client_per_minute,
        per_hour=settings.gateway_client_per_hour,
        burst=settings.gateway_client_burst,
        ip_per_minute=settings.gateway_ip_per_minute,
        ip_burst=settings.gateway_ip_burst,
        pages_per_minute=settings.gateway_pages_per_minute,
        clients=settings.gateway_limited_clients,
        refused_keys_per_minute=settings.gateway_refused_keys_per_minute,
        overrides=overrides_of(settings),
        free_addresses=("127.0.0.1", "::1") if local else (),
    )


def _tls(settings: Settings) -> Tls | None:
    return _pair("RAG_GATEWAY_TLS", settings.gateway_tls_certificate, settings.gateway_tls_key)


def _backend_tls(settings: Settings) -> BackendTls | None:
    client = _pair("RAG_GATEWAY_QUERY", settings.gateway_query_certificate, settings.gateway_query_key)
    if settings.query_tls_ca is not None:
        return BackendTls(settings.query_tls_ca.absolute(), settings.query_tls_name, client)
    if client is not None:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_GATEWAY_QUERY_CERTIFICATE needs RAG_QUERY_TLS_CA")
    return None


def _pair(setting: str, certificate: Path | None, key: Path | None) -> Tls | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(Reason.CONFIG_INVALID, f"{setting}_CERTIFICATE and {setting}_KEY go together")
    return Tls(certificate.absolute(), key.absolute())


def any_of(type_name: str, **fields: object) -> Config:
    """A `google.protobuf.Any` of the Envoy message `type_name` (without the `envoy.` prefix)."""
    return {"@type": f"type.googleapis.com/envoy.{type_name}", **fields}


def extension(name: str, type_name: str, **fields: object) -> Config:
    """A named extension with its typed configuration."""
    return {"name": name, "typed_config": any_of(type_name, **fields)}


def seconds(value: float) -> str:
    """A protobuf duration."""
    return f"{value:g}s"
