"""The public part of Envoy's admin interface, which is a Unix socket of mode 0600: it could also stop Envoy, show its
configuration and write secrets to its log.

A page in the browser of an operator reaches ports on loopback too. So requests are matched by method and path, by the
host they were sent to (a name that a stranger leads here is none of ours), and what changes something needs a header
that no page of another site can set without asking first, which nothing here allows.
"""

from __future__ import annotations

from ragctl.gateway.clusters import address
from ragctl.gateway.options import Config, Endpoint, GatewayOptions, extension

ADMIN = "envoy-admin"
MANAGER = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
DRAIN_HEADER = "x-rag-drain"
"""Present in requests that take the gateway out of service."""
_ADDRESS: Config = {
    "name": ":authority",
    "string_match": {"safe_regex": {"regex": r"([0-9.]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?"}},
}


def admin_listener(options: GatewayOptions) -> Config:
    """Pages for the local stack, the console and the preStop hook, on loopback, however loaded the gateway is."""
    read, drain = _method("GET"), [*_method("POST"), {"name": DRAIN_HEADER, "present_match": True}]
    pages = dict.fromkeys(("/ready", "/stats", "/stats/prometheus", "/clusters", "/memory"), read)
    pages |= dict.fromkeys(("/drain_listeners", "/healthcheck/fail"), drain)
    unlimited: Config = {"bypass_overload_manager": True, "ignore_global_conn_limit": True}
    return {**_listener("operations", Endpoint("127.0.0.1", options.admin_port), options, pages), **unlimited}


def status_listener(listen: Endpoint, options: GatewayOptions) -> Config:
    """Readiness and statistics for probes and Prometheus, which come over the network."""
    return _listener("status", listen, options, {path: _method("GET") for path in ("/ready", "/stats/prometheus")})


def _listener(name: str, listen: Endpoint, options: GatewayOptions, pages: dict[str, list[Config]]) -> Config:
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER,
        stat_prefix=name,
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        route_config={
            "name": name,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [
                {
                    "name": "names",
                    "domains": sorted({"localhost", *options.allowed_hosts}),
                    "routes": [_route(path, headers) for path, headers in pages.items()],
                },
                {
                    "name": "addresses",
                    "domains": ["*"],
                    "routes": [_route(path, [_ADDRESS, *headers]) for path, headers in pages.items()],
                },
            ],
        },
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    return {
        "name": name,
        "address": address(listen),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [manager]}],
    }


def _route(path: str, headers: list[Config]) -> Config:
    return {"match": {"path": path, "headers": headers}, "route": {"cluster": ADMIN, "timeout": "5s"}}


def _method(name: str) -> list[Config]:
    return [{"name": ":method", "string_match": {"exact": name}}]
