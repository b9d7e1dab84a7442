"""The listeners: the public one (port, TLS, limits, header hygiene, access log) and the one that the open interfaces
call. Those for parts of the admin interface are in `ragctl.gateway.admin`."""

from __future__ import annotations

from rag_tracing import Destination
from ragctl.gateway.access import jwt_filter, scope_filter
from ragctl.gateway.admin import MANAGER, status_listener
from ragctl.gateway.api import api_methods
from ragctl.gateway.clusters import TRACES, address, certificate
from ragctl.gateway.files import Sources
from ragctl.gateway.interfaces import bearer_keys
from ragctl.gateway.limits import address_limit, client_limits, page_limit, shared_limits
from ragctl.gateway.options import Config, Endpoint, GatewayOptions, Tls, any_of, extension, seconds
from ragctl.gateway.replies import local_replies
from ragctl.gateway.requests import complete_requests, key_guard
from ragctl.gateway.routes import route_config

# --------------------------------------------------------------------------------------------------------------------
# The HTTP filter chain. Order matters: what is cheap to refuse is refused first, a body is bounded and complete
# before it is transcoded, and the router is last.


def http_filters(options: GatewayOptions, sources: Sources) -> list[Config]:
    """The chain for the public listener."""
    verified = [sources.keys(jwt_filter(options, options.jwt)), scope_filter(options)] if options.jwt else []
    return [
        extension("envoy.filters.http.cors", "extensions.filters.http.cors.v3.Cors"),
        extension("envoy.filters.http.grpc_web", "extensions.filters.http.grpc_web.v3.GrpcWeb"),
        *address_limit(options),
        *page_limit(options),
        *bearer_keys(),
        *key_guard(options),
        *verified,
        *client_limits(options),
        *shared_limits(options),
        *complete_requests(options),
        _transcoder(options),
        _grpc_stats(),
        extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
    ]


def _transcoder(options: GatewayOptions) -> Config:
    methods = api_methods(options.descriptors, admin=options.expose_admin)
    return extension(
        "envoy.filters.http.grpc_json_transcoder",
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(options.descriptors),
        services=list(dict.fromkeys(method.service for method in methods if method.rest)),
        convert_grpc_status=True,
        print_options={
            "always_print_primitive_fields": True,
            "preserve_proto_field_names": True,
            "stream_sse_style_delimited": True,
        },
        request_validation_options={"reject_unknown_query_parameters": True},
        max_request_body_size=options.max_request_bytes,
    )


def _grpc_stats() -> Config:
    return extension(
        "envoy.filters.http.grpc_stats",
        "extensions.filters.http.grpc_stats.v3.FilterConfig",
        stats_for_all_methods=True,
        replace_dots_in_grpc_service_name=True,
        enable_upstream_stats=True,
    )


FORBIDDEN_HEADER_PREFIXES = ("x-auth-", "x-rag-", "x-envoy-", "x-tenant", "x-jwt-", "x-forwarded-client-cert")
"""Headers that only the platform may set between its parts; a client's are removed before anything reads them."""

_NOT_OF_GRPC = r".*[^a-z0-9_.:-].*"
"""Names of headers that HTTP allows and gRPC does not; a query server would end the call as an internal error."""

_IDLE_SECONDS = 300.0
_HEADERS_SECONDS = 5.0
_STREAMS = 100
"""Calls of one connection at a time, as gRPC recommends; clients queue more by themselves."""
_CONNECTION_SECONDS = 3600.0
UNREAD_SECONDS = 10.0
"""Seconds that a peer may take nothing of what waits for it, or need for the rest of a complete answer."""
# An answer is taken whole from the server, however slowly its caller reads: a caller that does not read would else hold
# a place among the searches. So the buffer of a stream is larger than any answer. A connection whose peer does not read
# is closed before what waits on it (frames of 16 KiB) fills that buffer and stops the answers of its other calls.
_UNREAD_BYTES = 16_777_216
_UNREAD_FRAMES = 1000
_CLOSE_UNREAD: Config = {
    "description": "TCP_USER_TIMEOUT: close a connection whose peer takes nothing",
    "level": 6,
    "name": 18,
    "int_value": round(1000 * UNREAD_SECONDS),
    "state": "STATE_LISTENING",
}


def listeners(options: GatewayOptions, sources: Sources) -> list[Config]:
    """All listeners."""
    found = [public_listener(options, sources)]
    if options.internal is not None and options.interfaces.query:
        found.append(_internal_listener(options.internal, options, sources))
    if options.metrics is not None:
        found.append(status_listener(options.metrics, options))
    return found


def public_listener(options: GatewayOptions, sources: Sources) -> Config:
    """The listener for gRPC and REST on one port."""
    manager = extension(
        "envoy.filters.network.http_connection_manager", MANAGER, **_connection_manager(options, sources)
    )
    chain: Config = {"filters": [manager]}
    if options.tls is not None:
        chain["transport_socket"] = _tls(options.tls, sources)
    return {
        "name": "public",
        "address": address(options.listen),
        # Another process must get an error for this port, never a share of the traffic.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": _UNREAD_BYTES,
        "socket_options": [_CLOSE_UNREAD],
        "filter_chains": [chain],
    }


def _connection_manager(options: GatewayOptions, sources: Sources) -> Config:
    return {
        "stat_prefix": "public",
        **sources.routes(route_config(options)),
        "http_filters": http_filters(options, sources),
        "access_log": [_access_log()],
        **tracing(options.traces),
        "local_reply_config": local_replies(),
        "early_header_mutation_extensions": [_strip_headers(options)],
        "use_remote_address": True,
        "xff_num_trusted_hops": options.trusted_hops,
        "server_name": "rag-gateway",
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        # With bodies collected before the router, this ends calls whose body never completes.
        "request_timeout": seconds(options.request_seconds),
        "request_headers_timeout": seconds(min(options.request_seconds, _HEADERS_SECONDS)),
        "stream_idle_timeout": seconds(_IDLE_SECONDS),
        "stream_flush_timeout": seconds(UNREAD_SECONDS),
        "delayed_close_timeout": "1s",
        "drain_timeout": "0.5s",
        "max_request_headers_kb": 32,
        "common_http_protocol_options": {
            "idle_timeout": seconds(_IDLE_SECONDS),
            "max_connection_duration": seconds(_CONNECTION_SECONDS),
            "headers_with_underscores_action": "DROP_HEADER",
            "max_headers_count": 100,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": _STREAMS,
            "max_outbound_frames": _UNREAD_FRAMES,
            "initial_stream_window_size": 1_048_576,
            "initial_connection_window_size": 4_194_304,
        },
    }


def _internal_listener(listen: Endpoint, options: GatewayOptions, sources: Sources) -> Config:
    """Build the listener for calls of the open interfaces, with the routes and weights of the public one.

    What they call for came through the public listener, which verified and counted it. The servers verify the token
    that they pass on.
    """
    router = extension(
        "envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
    )
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER,
        stat_prefix="internal",
        **sources.routes(route_config(options)),
        http_filters=[_grpc_stats(), router],
        access_log=[_access_log()],
        **tracing(options.traces),
        local_reply_config=local_replies(),
        preserve_external_request_id=True,
        stream_idle_timeout=seconds(_IDLE_SECONDS),
    )
    return {
        "name": "internal",
        "address": address(listen),
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [{"filters": [manager]}],
    }


def _strip_headers(options: GatewayOptions) -> Config:
    prefixes = list(FORBIDDEN_HEADER_PREFIXES)
    if not options.trusted_hops:
        prefixes.append("x-forwarded-")  # nobody before us is believed about anything
    removed: list[Config] = [{"prefix": prefix, "ignore_case": True} for prefix in prefixes]
    removed.append({"safe_regex": {"regex": _NOT_OF_GRPC}})
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"remove_on_match": {"key_matcher": matcher}} for matcher in removed],
    )


def _tls(tls: Tls, sources: Sources) -> Config:
    context = any_of(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            **sources.certificates(certificate(tls)),
        },
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _access_log() -> Config:
    """One JSON line per request. The path without its query string: it may hold what a user asked."""
    fields = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "event": "gateway_request",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS(SNAKE_STRING)%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "upstream": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "trace_id": "%TRACE_ID%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    return extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": fields},
    )


SERVICE = "rag-gateway"
_EXPORT_SECONDS = "5s"


def tracing(found: Destination | None) -> Config:
    """The connection manager's share; nothing without a destination."""
    if found is None:
        return {}
    service: Config = {"http_uri": {"uri": found.url, "cluster": TRACES, "timeout": _EXPORT_SECONDS}}
    if found.headers:
        service["request_headers_to_add"] = [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in found.headers
        ]
    provider = any_of(
        "config.trace.v3.OpenTelemetryConfig", http_service=service, service_name=SERVICE, sampler=_sampler(found.share)
    )
    return {
        "tracing": {
            "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": provider},
            # The path may name a document, and its query what a user asked: a span is named by its route.
            "max_path_tag_length": 1,
        },
        # A caller's own id of a request stays as it is, and does not decide whether it is sampled.
        "request_id_extension": {
            "typed_config": any_of(
                "extensions.request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def _sampler(share: float) -> Config:
    """As the caller decided, else a share of the traces that begin here.

    Envoy's own sampling (`random_sampling`, also that of a route) goes by the id of a request, which may be a caller's.
    """
    ratio = {"numerator": round(share * 1_000_000), "denominator": "MILLION"}
    return _of(
        "parent_based",
        "ParentBased",
        wrapped_sampler=_of("trace_id_ratio_based", "TraceIdRatioBased", sampling_percentage=ratio),
    )


def _of(name: str, kind: str, **fields: Config) -> Config:
    config = any_of(f"extensions.tracers.opentelemetry.samplers.v3.{kind}SamplerConfig", **fields)
    return {"name": f"envoy.tracers.opentelemetry.samplers.{name}", "typed_config": config}
