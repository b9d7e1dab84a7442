"""The HTTP filter chain. Order matters: what is cheap to refuse is refused first, a body is bounded and complete before
it is transcoded, and the router is last."""

from __future__ import annotations

from ragctl.gateway.access import jwt_filter, scope_filter
from ragctl.gateway.api import api_methods
from ragctl.gateway.files import Sources
from ragctl.gateway.limits import address_limit, client_limits
from ragctl.gateway.options import Config, GatewayOptions, extension
from ragctl.gateway.requests import complete_requests, key_guard


def http_filters(options: GatewayOptions, sources: Sources) -> list[Config]:
    """The chain for the public listener."""
    verified = [sources.keys(jwt_filter(options, options.jwt)), scope_filter(options)] if options.jwt else []
    return [
        extension("envoy.filters.http.cors", "extensions.filters.http.cors.v3.Cors"),
        extension("envoy.filters.http.grpc_web", "extensions.filters.http.grpc_web.v3.GrpcWeb"),
        *address_limit(options),
        *key_guard(options),
        *verified,
        *client_limits(options),
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
