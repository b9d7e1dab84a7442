"""The public listener: port, connection limits, header hygiene, error bodies and the access log."""

from __future__ import annotations

from dataclasses import dataclass

from rag_core.errors import Reason
from ragctl.gateway.clusters import address
from ragctl.gateway.filters import http_filters
from ragctl.gateway.options import Config, GatewayOptions, extension, seconds
from ragctl.gateway.routes import route_config

FORBIDDEN_HEADER_PREFIXES = ("x-auth-", "x-rag-", "x-envoy-")
"""Headers that only the platform may set between its parts; a client's are removed before anything reads them."""

_IDLE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _LocalError:
    """How an answer that Envoy makes itself looks to the caller. `message=None` keeps Envoy's own text."""

    http_status: int
    grpc_status: int
    reason: Reason
    message: str | None = None


_LOCAL_ERRORS = (
    _LocalError(400, 3, Reason.FIELD_INVALID),
    _LocalError(404, 12, Reason.METHOD_UNKNOWN),
    _LocalError(405, 12, Reason.METHOD_UNKNOWN),
    _LocalError(408, 4, Reason.DEADLINE, "the request did not arrive in time"),
    _LocalError(413, 8, Reason.REQUEST_TOO_LARGE, "the request body is larger than the gateway accepts"),
    _LocalError(429, 8, Reason.OVERLOADED, "too many requests; try again later"),
    _LocalError(503, 14, Reason.SERVER_UNAVAILABLE, "the query server cannot be reached; try again"),
    _LocalError(504, 4, Reason.DEADLINE, "the time allowed for the call ran out"),
)


def listener(options: GatewayOptions) -> Config:
    """The listener for gRPC and REST on one port."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_connection_manager(options),
    )
    return {
        "name": "public",
        "address": address(options.listen),
        # Another process must get an error for this port, never a share of the traffic.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [{"filters": [manager]}],
    }


def _connection_manager(options: GatewayOptions) -> Config:
    return {
        "stat_prefix": "public",
        "route_config": route_config(options),
        "http_filters": http_filters(options),
        "access_log": [_access_log()],
        "local_reply_config": _local_replies(),
        "early_header_mutation_extensions": [_strip_headers()],
        "use_remote_address": True,
        "server_name": "rag-gateway",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_timeout": "30s",
        "request_headers_timeout": "10s",
        "stream_idle_timeout": seconds(_IDLE_SECONDS),
        "delayed_close_timeout": "1s",
        "drain_timeout": "5s",
        "common_http_protocol_options": {
            "idle_timeout": seconds(_IDLE_SECONDS),
            "headers_with_underscores_action": "DROP_HEADER",
            "max_headers_count": 100,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 256,
            "initial_stream_window_size": 1_048_576,
            "initial_connection_window_size": 4_194_304,
        },
    }


def _strip_headers() -> Config:
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[
            {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}}
            for prefix in FORBIDDEN_HEADER_PREFIXES
        ],
    )


def _local_replies() -> Config:
    mappers = [mapper for error in _LOCAL_ERRORS for mapper in (_grpc_reply(error), _rest_reply(error))]
    return {"mappers": mappers, "body_format": {"json_format": _error_body(13, Reason.INTERNAL)}}


def _grpc_reply(error: _LocalError) -> Config:
    """A gRPC client gets plain text; the status Envoy derives from the HTTP code is not always the right one."""
    header = {"key": "grpc-status", "value": str(error.grpc_status)}
    return {
        "filter": {"and_filter": {"filters": [_has_status(error.http_status), *_NATIVE_GRPC]}},
        **_body(error),
        "headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def _rest_reply(error: _LocalError) -> Config:
    return {
        "filter": _has_status(error.http_status),
        **_body(error),
        "body_format_override": {"json_format": _error_body(error.grpc_status, error.reason)},
    }


def _body(error: _LocalError) -> Config:
    return {} if error.message is None else {"body": {"inline_string": error.message}}


def _has_status(status: int) -> Config:
    value = {"default_value": status, "runtime_key": f"gateway.local_reply.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


# A transcoded request also carries a gRPC content type by then, and the header that remembers its first path.
_NATIVE_GRPC: list[Config] = [
    {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}},
    {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": False}}},
]


def _error_body(code: int, reason: Reason) -> Config:
    """The JSON form of `google.rpc.Status`, as the transcoder prints the server's own errors."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason.value, "domain": "rag-platform"}
    return {"code": code, "message": "%LOCAL_REPLY_BODY%", "details": [info]}


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
        "upstream": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    return extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": fields},
    )
