"""Start and stop of the SDK in one process."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_tracing import spans
from rag_tracing.destination import destination_of, protocol_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

NAMESPACE = "rag"
FLUSH_SECONDS = 2.0
"""What a process that ends gives to the spans it still holds; the SDK would wait half a minute for a dead collector."""
_log = logging.getLogger(__name__)
_provider: TracerProvider | None = None


def start_tracing(service: str, *, content: bool = False, processors: Sequence[SpanProcessor] = ()) -> bool:
    """Record and export from now on, when the `OTEL_*` variables name an endpoint; returns whether they do.

    `service` becomes `service.name` (`rag-…`) unless OTEL_SERVICE_NAME says another. Idempotent. What is wrong with the
    variables is logged, and the process works without traces: no telemetry may keep a server from serving.
    `processors` record whatever the variables say; for tests.
    """
    global _provider
    if _provider is not None:
        return True
    if destination_of(os.environ) is None and not processors:
        return False
    if not processors and protocol_of(os.environ) != "http/protobuf":
        _log.warning("no traces: OTEL_EXPORTER_OTLP_PROTOCOL=%s; set http/protobuf", protocol_of(os.environ))
        return False
    try:
        provider = _build(service, processors)
    except Exception as error:  # a damaged certificate, a number that is none
        _log.warning("no traces: the OTEL_* variables cannot be used (%s)", type(error).__name__)
        return False
    from rag_tracing.recorder import Recorder

    _provider = provider
    spans.install(Recorder(provider.get_tracer("rag_platform")), content=content)
    atexit.register(stop_tracing)
    return True


def stop_tracing() -> None:
    """Export what is left, for two seconds at most, and record no more."""
    global _provider
    provider, _provider = _provider, None
    spans.install(None)
    if provider is not None:
        ending = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


def _build(service: str, processors: Sequence[SpanProcessor]) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = Resource.create({"service.namespace": NAMESPACE}).attributes
    # The SDK calls a process that nobody named `unknown_service`.
    name = str(named["service.name"])
    own = {"service.name": f"{NAMESPACE}-{service}"} if name.startswith("unknown_service") else {}
    provider = TracerProvider(resource=Resource(named).merge(Resource(own)), shutdown_on_exit=False)
    for processor in processors or (_exporting(),):
        provider.add_span_processor(processor)
    return provider


def _exporting() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())
