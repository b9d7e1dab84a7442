"""Routes: the only requests that reach the query server. Whatever is not listed here is answered with 404.

A REST request is matched twice: on its own path, and again on the gRPC path it was transcoded to. Filters follow the
first match, deadlines and retries the second, so both kinds of route carry them.
"""

from __future__ import annotations

from ragctl.gateway.clusters import PROBES, QUERY
from ragctl.gateway.options import Config, GatewayOptions, any_of, seconds

GRPC_SERVICES = (
    "ragproto.query.v1.QueryService",
    "ragproto.query.v2.QueryService",
    "ragproto.documents.v1.DocumentService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
"""Services callable by gRPC. `ragproto.admin.v1` is absent on purpose."""

REST_PATHS = ("/api/v1/query", "/api/v2/search", "/api/v2/search/batch", "/api/v2/answer")
DOCUMENT_ROUTES: tuple[tuple[Config, tuple[str, ...]], ...] = (
    ({"path": "/api/v1/documents"}, ("GET", "POST")),
    ({"path_separated_prefix": "/api/v1/documents"}, ("GET", "PUT", "DELETE")),
)
"""Which methods a path of the documents takes: the collection, then one document by its id."""
WRITING_SERVICE = "ragproto.documents.v1.DocumentService"
PROBE_PATHS = ("/health", "/ready")


def route_config(options: GatewayOptions) -> Config:
    """The route table of the public listener."""
    routes = [
        *(_grpc(service, options) for service in GRPC_SERVICES),
        *(_rest(path, options) for path in REST_PATHS),
        *(_refuse({"path": path}, 405, "use POST with a JSON body") for path in REST_PATHS),
        *(route for match, methods in DOCUMENT_ROUTES for route in _documents(match, methods, options)),
        *(_probe(path) for path in PROBE_PATHS),
        _refuse({"prefix": "/"}, 404, "no such endpoint"),
    ]
    return {"name": "public", "virtual_hosts": [{"name": "public", "domains": ["*"], "routes": routes}]}


def _grpc(service: str, options: GatewayOptions) -> Config:
    action = _forward(options, writes=service == WRITING_SERVICE)
    return {"name": service, "match": {"prefix": f"/{service}/", "grpc": {}}, "route": action}


def _documents(match: Config, methods: tuple[str, ...], options: GatewayOptions) -> list[Config]:
    allowed: Config = {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(methods)}}}
    path = str(next(iter(match.values())))
    taken: Config = {"name": path, "match": {**match, "headers": [allowed]}, "route": _forward(options, writes=True)}
    return [taken, _refuse(match, 405, f"use {', '.join(methods)}")]


def _rest(path: str, options: GatewayOptions) -> Config:
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    return {"name": path, "match": {"path": path, "headers": [post]}, "route": _forward(options)}


def _probe(path: str) -> Config:
    return {
        "name": path,
        "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        "route": {"cluster": PROBES, "timeout": "2s"},
    }


def _refuse(match: Config, status: int, message: str) -> Config:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def _forward(options: GatewayOptions, *, writes: bool = False) -> Config:
    limit = seconds(options.max_seconds)
    return {
        "cluster": QUERY,
        # `timeout` would turn a deadline into UNAVAILABLE; this pair keeps the client's own deadline, capped.
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": limit, "grpc_timeout_header_max": limit},
        "idle_timeout": limit,
        "retry_policy": _retries(writes=writes),
    }


def _retries(*, writes: bool) -> Config:
    # A call that only reads may always be tried again; one that writes only where it cannot have begun.
    # "Overloaded" is not retried: that feeds overload.
    begun = "" if writes else ",unavailable"
    return {
        "retry_on": f"connect-failure,refused-stream,reset-before-request{begun}",
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": any_of("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
