"""An OTLP collector for tests: reads what is exported with the classes of `opentelemetry-proto`."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.waiting import eventually


@dataclass
class Collector:
    """What came. `headers` are those of the last export."""

    url: str
    spans: list[tuple[str, Span]] = field(default_factory=list)
    """Service and span."""
    headers: dict[str, str] = field(default_factory=dict)

    def of_trace(self, trace_id: str) -> list[tuple[str, Span]]:
        return [(service, span) for service, span in self.spans if span.trace_id.hex() == trace_id]

    def named(self, trace_id: str, name: str) -> Span:
        """The one span of this name, which must come."""
        assert eventually(lambda: any(span.name == name for _, span in self.of_trace(trace_id)), seconds=20), [
            span.name for _, span in self.of_trace(trace_id)
        ]
        (found,) = [span for _, span in self.of_trace(trace_id) if span.name == name]
        return found

    def _accept(self, request: Request) -> Response:
        body = request.get_data()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        asked = ExportTraceServiceRequest.FromString(body)
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        for resource in asked.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(named.get("service.name", ""), span) for span in scope.spans]
        return Response(status=200, content_type="application/x-protobuf")


def attributes_of(span: Span) -> dict[str, Any]:
    """The attributes of a span as text."""
    found = {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}
    return {name: str(value) for name, value in found.items()}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    server = HTTPServer(host="127.0.0.1", port=0)
    server.start()
    found = Collector(server.url_for("").rstrip("/"))
    server.expect_request("/v1/traces", method="POST").respond_with_handler(found._accept)
    try:
        yield found
    finally:
        server.clear()
        server.stop()
