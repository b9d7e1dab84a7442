"""Upstream clusters: where the gateway sends requests, and when it stops."""

from __future__ import annotations

from urllib.parse import urlsplit

from rag_core.errors import ConfigError, Reason
from ragctl.gateway.files import Sources
from ragctl.gateway.interfaces import INTERFACES, PAGES, interface_cluster, page_cluster
from ragctl.gateway.limits import RATE_LIMITS
from ragctl.gateway.options import Backends, BackendTls, Config, Endpoint, GatewayOptions, Tls, any_of

BLUE = "query-blue"
GREEN = "query-green"
PROBES = "query-probes"
KEYS = "jwks"
TRACES = "traces"
SEARCHES = "HIGH"
"""The priority of routes whose calls are searches. To Envoy a priority is a set of counters; these calls have their
own, so that a flood of searches is stopped here and takes no capacity from other calls."""
# An answer is taken whole, and answers that wait for slow readers stop no other on the same connection to a server.
_ANSWER_BYTES = 16_777_216
_ALL_ANSWERS_BYTES = 2_147_483_647
_READINESS = "ragproto.query.v2.QueryService"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(options: GatewayOptions, sources: Sources) -> list[Config]:
    """All clusters."""
    found = [
        _query(BLUE, options.blue, options, sources),
        _query(GREEN, options.green, options, sources),
        _probes(options, sources),
    ]
    if options.interfaces.query:
        interfaces = options.interfaces
        found.append(interface_cluster(_discovered(INTERFACES, interfaces, interfaces.query, sources)))
        found.append(page_cluster(_discovered(PAGES, interfaces, interfaces.query, sources)))
    if options.shared is not None:
        found.append(_counters(options.shared.service, sources))
    if options.jwt is not None and options.jwt.jwks_url:
        found.append(_outside(KEYS, options.jwt.jwks_url))
    if options.traces is not None:
        found.append(_outside(TRACES, options.traces.url))
    return found


def endpoints(options: GatewayOptions) -> dict[str, Config]:
    """The endpoint files of the clusters that are discovered by file, by cluster name."""
    named = {BLUE: (options.blue, options.blue.query), GREEN: (options.green, options.green.query)}
    named[PROBES] = (options.blue, _probed(options))
    if options.interfaces.query:
        named |= dict.fromkeys((INTERFACES, PAGES), (options.interfaces, options.interfaces.query))
    if options.shared is not None:
        named[RATE_LIMITS] = (options.shared.service, options.shared.service.query)
    return {name: assignment(name, where) for name, (colour, where) in named.items() if colour.discovery == "file"}


def assignment(name: str, where: tuple[Endpoint, ...]) -> Config:
    """A load assignment; a colour without servers has an empty one."""
    members = [{"endpoint": {"address": address(item)}} for item in where]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": members}] if members else []}


def _query(name: str, colour: Backends, options: GatewayOptions, sources: Sources) -> Config:
    return {
        **_discovered(name, colour, colour.query, sources),
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _http2()},
        "health_checks": [_grpc_health_check()],
        # No outlier detection: it counts statuses, resets and timeouts, all of which a caller can cause. Health checks
        # alone eject; until they see a dead server, its calls are tried on another (`routes._retries`).
        # Never the last server: below 1 % healthy, calls go to all. At the default of 50 % they would go to dead
        # servers as soon as half are dead.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": {"thresholds": _breakers(options)},
        **(_encrypted(options.backend_tls) if options.backend_tls else {}),
    }


def _probes(options: GatewayOptions, sources: Sources) -> Config:
    # Either colour may be gone: a server whose process does not answer is not asked whether it is ready.
    alive = {"timeout": "1s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_threshold": 2}
    return {
        **_discovered(PROBES, options.blue, _probed(options), sources),
        "lb_policy": "ROUND_ROBIN",
        "health_checks": [{**alive, "healthy_threshold": 1, "http_health_check": {"path": "/health"}}],
        "ignore_health_on_host_removal": True,
    }


def _counters(service: Backends, sources: Sources) -> Config:
    # Without health checks: a call that gets no answer in time is decided by the filter.
    return {
        **_discovered(RATE_LIMITS, service, service.query, sources),
        "lb_policy": "ROUND_ROBIN",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _http2()},
        "ignore_health_on_host_removal": True,
    }


def _probed(options: GatewayOptions) -> tuple[Endpoint, ...]:
    return (*options.blue.probes, *options.green.probes)


def _discovered(name: str, colour: Backends, where: tuple[Endpoint, ...], sources: Sources) -> Config:
    common: Config = {"name": name, "connect_timeout": "1s"}
    if colour.discovery == "dns":
        # A lookup that fails keeps the servers that are known. An answer without addresses takes all of them away, so
        # that a name must keep those that run, ready or not (the chart's Services do): health checks decide.
        dns = {"type": "STRICT_DNS", "dns_refresh_rate": "2s", "respect_dns_ttl": False, "dns_lookup_family": "ALL"}
        return {**common, **dns, "load_assignment": assignment(name, where)}
    return {**common, **sources.endpoints(name, assignment(name, where))}


def _outside(name: str, url: str) -> Config:
    """The identity provider's keys, a collector: a certificate is checked against the system's authorities."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    config: Config = {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "3s",
        "load_assignment": assignment(name, (Endpoint(host, parts.port or (443 if secure else 80)),)),
    }
    if secure:
        trusted = {"trusted_ca": {"filename": system_authorities()}, "match_typed_subject_alt_names": [_names(host)]}
        tls = any_of(
            "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            sni=host,
            common_tls_context={"validation_context": trusted},
        )
        config["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    return config


def system_authorities() -> str:
    """The file with the certificate authorities that this system trusts. Raises `ConfigError` when it has none."""
    import ssl

    found = ssl.get_default_verify_paths().cafile
    if found is None:
        raise ConfigError(Reason.CONFIG_INVALID, "no file of trusted authorities here: set SSL_CERT_FILE to one")
    return found


def _names(host: str) -> Config:
    return {"san_type": "DNS", "matcher": {"exact": host}}


def certificate(tls: Tls) -> Config:
    """The certificate, by its files; Envoy watches their folder for replacements."""
    return {
        "certificate_chain": {"filename": str(tls.certificate)},
        "private_key": {"filename": str(tls.key)},
        "watched_directory": {"path": str(tls.certificate.parent)},
    }


def address(endpoint: Endpoint) -> Config:
    """An Envoy socket address."""
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def _encrypted(tls: BackendTls) -> Config:
    """TLS to a query server, whose certificate must hold our name for it. Replaced files are taken up while running."""
    trusted = {
        "trusted_ca": {"filename": str(tls.authority)},
        "watched_directory": {"path": str(tls.authority.parent)},
        "match_typed_subject_alt_names": [_names(tls.name)],
    }
    shown = {"tls_certificates": [certificate(tls.client)]} if tls.client else {}
    context = any_of(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=tls.name,
        common_tls_context={"alpn_protocols": ["h2"], "validation_context": trusted, **shown},
    )
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _http2() -> Config:
    keepalive = {"interval": "15s", "timeout": "5s"}
    return any_of(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={
            "http2_protocol_options": {
                "connection_keepalive": keepalive,
                "initial_stream_window_size": _ANSWER_BYTES,
                "initial_connection_window_size": _ALL_ANSWERS_BYTES,
            }
        },
    )


def _grpc_health_check() -> Config:
    return {
        # A busy server answers late; a dead one refuses the connection at once.
        "timeout": "3s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_interval": "0.5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        # Of the service whose status is the server's readiness: while others are ready, calls go to those.
        "grpc_health_check": {"service_name": _READINESS},
    }


def _breakers(options: GatewayOptions) -> list[Config]:
    # Each server refuses what its queue cannot take. Where it is known what all of them can take, more is refused here
    # already, which costs a quarter. The other numbers only bound the gateway's own memory.
    most = options.max_connections * 4
    return [
        _breaker("DEFAULT", options.max_connections, most),
        _breaker(SEARCHES, options.max_connections, options.searches or most),
    ]


def _breaker(priority: str, connections: int, requests: int) -> Config:
    return {
        "priority": priority,
        "max_connections": connections,
        "max_pending_requests": connections,
        "max_requests": requests,
        "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 10},
        "track_remaining": True,
    }
