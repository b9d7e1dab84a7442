"""Traces of the gateway: every request that is sampled begins, or continues, a trace here."""

from __future__ import annotations

from rag_tracing import Destination
from ragctl.gateway.clusters import TRACES
from ragctl.gateway.options import Config, any_of

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
    provider = any_of("config.trace.v3.OpenTelemetryConfig", http_service=service, service_name=SERVICE)
    return {
        "tracing": {
            "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": provider},
            "random_sampling": {"value": found.share * 100},
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
