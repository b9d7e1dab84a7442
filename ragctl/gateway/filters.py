"""The HTTP filter chain. Order matters: a body is bounded before it is transcoded, and the router is last."""

from __future__ import annotations

from ragctl.gateway.options import Config, GatewayOptions, extension

TRANSCODED_SERVICES = (
    "ragproto.query.v1.QueryService",
    "ragproto.query.v2.QueryService",
    "ragproto.documents.v1.DocumentService",
)


def http_filters(options: GatewayOptions) -> list[Config]:
    """The chain for the public listener."""
    return [
        _body_size_limit(options),
        _transcoder(options),
        _grpc_stats(),
        extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
    ]


def _body_size_limit(options: GatewayOptions) -> Config:
    return extension(
        "envoy.filters.http.body_size_limit",
        "extensions.filters.http.body_size_limit.v3.BodySizeLimit",
        max_request_bytes=options.max_request_bytes,
    )


def _transcoder(options: GatewayOptions) -> Config:
    return extension(
        "envoy.filters.http.grpc_json_transcoder",
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(options.descriptors),
        services=list(TRANSCODED_SERVICES),
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
