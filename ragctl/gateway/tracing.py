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
