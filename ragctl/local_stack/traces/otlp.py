"""From an export request of OTLP to rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag_core.errors import InvalidInput, Reason

MAX_ATTRIBUTES = 64
MAX_CHARS = 1024
"""Of a name or a value; longer ones are cut."""
_KINDS = {
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_PRODUCER: "producer",
    Span.SPAN_KIND_CONSUMER: "consumer",
}


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span. Times are in microseconds, `started` since 1970; `attributes` is a JSON object."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    started: int
    duration: int
    failed: bool
    attributes: str


def rows_of(body: bytes) -> list[SpanRow]:
    """The spans of a request; one without ids is left out. Raises `InvalidInput` (`MESSAGE_INVALID`)."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise InvalidInput(Reason.MESSAGE_INVALID, "the body is no ExportTraceServiceRequest") from None
    return list(_rows(request))


def _rows(request: ExportTraceServiceRequest) -> Iterator[SpanRow]:
    for resource in request.resource_spans:
        named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        service = named.get("service.name", "")[:MAX_CHARS] or "unknown"
        for scope in resource.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8:
                    yield _row(service, span)


def _row(service: str, span: Span) -> SpanRow:
    started = span.start_time_unix_nano // 1000
    return SpanRow(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=service,
        name=span.name[:MAX_CHARS],
        kind=_KINDS.get(span.kind, "internal"),
        # SQLite holds numbers of 63 bits; a clock that says more is wrong.
        started=min(started, 2**62),
        duration=min(max(0, span.end_time_unix_nano // 1000 - started), 2**62),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=json.dumps(_attributes(span.attributes), ensure_ascii=False),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key[:MAX_CHARS]: _value(pair.value) for pair in list(pairs)[:MAX_ATTRIBUTES]}


def _value(value: AnyValue) -> str | int | float | bool:
    match value.WhichOneof("value"):
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "string_value":
            return value.string_value[:MAX_CHARS]
        case "array_value":
            return ", ".join(str(_value(one)) for one in value.array_value.values[:MAX_ATTRIBUTES])[:MAX_CHARS]
    return ""
