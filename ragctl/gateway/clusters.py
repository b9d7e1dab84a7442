"""Upstream clusters: where the gateway sends requests, and when it stops sending them somewhere."""

from __future__ import annotations

from collections.abc import Iterable

from ragctl.gateway.options import Config, Endpoint, GatewayOptions, any_of

QUERY = "query"
PROBES = "query-probes"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(options: GatewayOptions) -> list[Config]:
    """All clusters."""
    return [_query(options), _probes(options)]


def _query(options: GatewayOptions) -> Config:
    return {
        **_static(QUERY, options.query),
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _http2()},
        "health_checks": [_grpc_health_check()],
        # The active check decides; outlier detection only bridges the second until it has looked.
        "outlier_detection": {
            "consecutive_gateway_failure": 3,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_consecutive_5xx": 0,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_time": "10s",
            "max_ejection_percent": 100,
        },
        # With the default of 50 % Envoy would send traffic to dead servers once half of them are dead.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": {"thresholds": [_breaker(options.max_connections)]},
    }


def _probes(options: GatewayOptions) -> Config:
    return {**_static(PROBES, options.probes), "lb_policy": "ROUND_ROBIN"}


def _static(name: str, endpoints: Iterable[Endpoint]) -> Config:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(item)}} for item in endpoints]}],
        },
    }


def address(endpoint: Endpoint) -> Config:
    """An Envoy socket address."""
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def _http2() -> Config:
    keepalive = {"interval": "15s", "timeout": "5s"}
    return any_of(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http2_protocol_options": {"connection_keepalive": keepalive}},
    )


def _grpc_health_check() -> Config:
    return {
        "timeout": "1s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_interval": "0.5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }


def _breaker(connections: int) -> Config:
    # Overload is refused by the server, which knows its queue; these only bound the gateway's own memory.
    return {
        "priority": "DEFAULT",
        "max_connections": connections,
        "max_pending_requests": connections,
        "max_requests": connections * 4,
        "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 10},
        "track_remaining": True,
    }
