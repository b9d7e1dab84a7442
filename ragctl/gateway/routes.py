"""Routes: the only requests that reach the query server. Anything not listed here is answered with 404.

A REST request is matched twice: on its own path, and again on the gRPC path it was transcoded to. Filters follow the
first match, deadlines and retries the second, so both kinds of route carry them.
"""

from __future__ import annotations

from ragctl.gateway.api import Method, Rest, api_methods, public_services
from ragctl.gateway.clusters import BLUE, GREEN, PROBES, SEARCHES
from ragctl.gateway.interfaces import interface_routes
from ragctl.gateway.options import Config, GatewayOptions, any_of, seconds
from ragctl.gateway.requests import message_body, one_message, open_ended

PROBE_PATHS = ("/health", "/ready")
FORWARDED_NO_FURTHER = ("x-auth-tenant", "x-auth-subject")
"""Set by the gateway for its own limits; the server reads the token itself."""
# A token decides about a call that brings both: what is sent beside it must not change how the call is treated.
HAS_KEY: Config = {"name": "x-api-key", "present_match": True}
HAS_NO_TOKEN: Config = {"name": "authorization", "present_match": False}
_CORS_SECONDS = 600
_CORS_REQUEST = (
    "authorization,content-type,x-api-key,x-request-id,grpc-timeout,x-grpc-web,x-user-agent,traceparent,tracestate,"
    "mcp-protocol-version,mcp-method,mcp-name"
)
_CORS_RESPONSE = (
    "grpc-status,grpc-message,grpc-status-details-bin,retry-after,x-request-id,deprecation,link,www-authenticate"
)


def route_config(options: GatewayOptions) -> Config:
    """The route table of the public listener."""
    methods = api_methods(options.descriptors, admin=options.expose_admin)
    rest = [(method, binding) for method in methods for binding in method.rest]
    routes = [
        *(route for method in methods for route in _grpc(method, options)),
        *(_public(service, options) for service in public_services()),
        *(route for method, binding in rest for route in _rest(method, binding, options)),
        *(_preflight(origin, options) for origin in options.cors_origins),
        *_wrong_verbs(rest),
        *interface_routes(options),
        *(_probe(path) for path in PROBE_PATHS),
        _refuse({"prefix": "/"}, 404, "no such endpoint"),
    ]
    host: Config = {
        "name": "public",
        "domains": ["*"],
        "routes": routes,
        "request_headers_to_remove": list(FORWARDED_NO_FURTHER),
    }
    if options.cors_origins:
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors(options)}
    return {"name": "public", "virtual_hosts": [host]}


def path_match(binding: Rest) -> Config:
    """Return the condition by which a REST path is recognised."""
    if binding.pattern is None:
        return {"path": binding.path}
    return {"safe_regex": {"regex": binding.pattern}}


# A prefix, because gRPC-Web is recognised here too: its filter rewrites the type only after the route was chosen.
_GRPC_TYPE: Config = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}


def _grpc(method: Method, options: GatewayOptions) -> list[Config]:
    match: Config = {"path": method.path, "headers": [_GRPC_TYPE]}
    return _forwarding(method.path, match, one_message(), method, options)


def _public(service: str, options: GatewayOptions) -> Config:
    match = {"prefix": f"/{service}/", "headers": [_GRPC_TYPE]}
    route = _forward(options, repeatable=True)
    return {"name": service, "match": match, "route": route, "typed_per_filter_config": open_ended()}


def _rest(method: Method, binding: Rest, options: GatewayOptions) -> list[Config]:
    verb = {"name": ":method", "string_match": {"exact": binding.verb}}
    match = {**path_match(binding), "headers": [verb]}
    # Also where no body is expected: one that comes is collected, and headers that are gRPC's own are removed.
    checks = message_body(binding.message or "")
    return _forwarding(f"{binding.verb} {binding.path}", match, checks, method, options)


def _forwarding(name: str, match: Config, checks: Config, method: Method, options: GatewayOptions) -> list[Config]:
    """The route of a method; a search has a second one for calls with an API key.

    A made-up key is refused by the server only, and its call does not count as a search in flight until then.
    """
    forward = _forward(options, repeatable=method.repeatable)
    per_filter = {"typed_per_filter_config": checks} if checks else {}
    if not method.searches:
        return [{"name": name, "match": match, "route": forward, **per_filter, **_named(name)}]
    headers = match["headers"]
    assert isinstance(headers, list)  # noqa: S101
    with_key = {**match, "headers": [*headers, HAS_KEY, HAS_NO_TOKEN]}
    return [
        {"name": f"{name} with a key", "match": with_key, "route": forward, **per_filter, **_named(name)},
        {"name": name, "match": match, "route": {**forward, "priority": SEARCHES}, **per_filter, **_named(name)},
    ]


def _named(name: str) -> Config:
    """Return the name of a request's span; callers do not see it."""
    return {"decorator": {"operation": name.lstrip("/"), "propagate": False}}


def _wrong_verbs(rest: list[tuple[Method, Rest]]) -> list[Config]:
    by_path: dict[str, list[Rest]] = {}
    for _, binding in rest:
        by_path.setdefault(binding.path, []).append(binding)
    return [
        _refuse(path_match(bindings[0]), 405, f"use {' or '.join(sorted({item.verb for item in bindings}))}")
        for bindings in by_path.values()
    ]


def _preflight(origin: str, options: GatewayOptions) -> Config:
    """Answered by the CORS filter, which applies to forwarding routes only; so only its own origins get one."""
    wanted = {":method": "OPTIONS", "origin": origin}
    headers: list[Config] = [{"name": name, "string_match": {"exact": value}} for name, value in wanted.items()]
    headers.append({"name": "access-control-request-method", "present_match": True})
    return {
        "name": f"preflight {origin}",
        "match": {"prefix": "/", "headers": headers},
        "route": _forward(options, repeatable=False),
    }


def _probe(path: str) -> Config:
    return {
        "name": path,
        "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        # By its own name a caller would read nothing of the page (`rag_core.browser_guard`).
        "route": {"cluster": PROBES, "timeout": "2s", "host_rewrite_literal": "localhost"},
    }


def _refuse(match: Config, status: int, message: str) -> Config:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": message}}}


def _forward(options: GatewayOptions, *, repeatable: bool) -> Config:
    limit = seconds(options.max_seconds)
    weights = [
        {"name": BLUE, "weight": 100 - options.green_percent},
        {"name": GREEN, "weight": options.green_percent},
    ]
    return {
        "weighted_clusters": {"clusters": weights},
        # `timeout` would turn a deadline into UNAVAILABLE; this pair keeps the client's own deadline, capped.
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": limit, "grpc_timeout_header_max": limit},
        "idle_timeout": limit,
        "retry_policy": _retries(repeatable),
    }


def _retries(repeatable: bool) -> Config:
    # "Overloaded" is not retried: that feeds overload. A call that may have had an effect is sent again only when it
    # cannot have reached a server.
    after = "connect-failure,refused-stream"
    return {
        "retry_on": f"{after},reset" if repeatable else after,
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": any_of("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "host_selection_retry_max_attempts": 20,
    }


def _cors(options: GatewayOptions) -> Config:
    return any_of(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in options.cors_origins],
        allow_methods="GET,POST,PUT,DELETE",
        allow_headers=_CORS_REQUEST,
        expose_headers=_CORS_RESPONSE,
        max_age=str(_CORS_SECONDS),
    )
