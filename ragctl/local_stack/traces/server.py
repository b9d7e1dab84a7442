"""`POST /v1/traces` (OTLP over HTTP) and the part of Jaeger's query API that the console reads, on loopback."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rag_core.errors import InvalidInput, Reason
from ragctl.local_stack.traces.otlp import SpanRow, rows_of
from ragctl.local_stack.traces.store import TraceStore, attributes_of

MAX_BODY_BYTES = 8 << 20
"""Of an export, also once it is inflated."""
MAX_LIMIT = 200
_PROTOBUF = "application/x-protobuf"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(us|ms|s)?")
_MICROSECONDS = {"us": 1, None: 1, "ms": 1000, "s": 1_000_000}


def build_app(store: TraceStore) -> Starlette:
    """The application around a store, which the caller closes."""

    async def export(request: Request) -> Response:
        # A page of the web may send other types to an address on this machine without asking first.
        if request.headers.get("content-type", "").partition(";")[0].strip() != _PROTOBUF:
            return _problem(415, f"content-type: send {_PROTOBUF}")
        try:
            rows = rows_of(_inflated(await _body(request), request.headers.get("content-encoding", "identity")))
        except InvalidInput as error:
            return _problem(413 if error.reason is Reason.REQUEST_TOO_LARGE else 400, error.message)
        await run_in_threadpool(store.add, rows)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_PROTOBUF)

    async def trace(request: Request) -> Response:
        trace_id = request.path_params["trace_id"].lower().rjust(32, "0")
        rows = await run_in_threadpool(store.trace, trace_id) if _TRACE_ID.fullmatch(trace_id) else []
        if not rows:
            return _problem(404, "there is no such trace, or it is not kept any more")
        return _data([_jaeger(rows)])

    async def traces(request: Request) -> Response:
        try:
            asked = _search(request.query_params)
        except ValueError as error:
            return _problem(400, str(error))
        found = await run_in_threadpool(lambda: [store.trace(one) for one in store.find(**asked)])
        return _data([_jaeger(rows) for rows in found if rows])

    async def services(_: Request) -> Response:
        return _data(await run_in_threadpool(store.services))

    async def operations(request: Request) -> Response:
        return _data(await run_in_threadpool(store.operations, request.path_params["service"]))

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    return Starlette(
        routes=[
            Route("/v1/traces", export, methods=["POST"]),
            Route("/api/traces", traces),
            Route("/api/traces/{trace_id}", trace),
            Route("/api/services", services),
            Route("/api/services/{service}/operations", operations),
            Route("/health", alive),
        ],
        # A name that somebody points at this machine must not make a browser read it.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
    )


def _search(given: Mapping[str, str]) -> dict[str, Any]:
    """What a search asks for. Raises `ValueError` for values that are none."""
    limit, end = given.get("limit", "20"), given.get("end", "")
    least = _DURATION.fullmatch(given.get("minDuration", "0"))
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
        raise ValueError(f"limit: from 1 to {MAX_LIMIT}")
    if end and (not end.isdecimal() or len(end) > 18):
        raise ValueError("end: microseconds since 1970")
    if least is None:
        raise ValueError("minDuration: such as 100ms")
    return {
        "service": given.get("service", ""),
        "operation": given.get("operation", ""),
        "least": int(float(least[1]) * _MICROSECONDS[least[2]]),
        "before": int(end) if end else time.time_ns() // 1000 + 60_000_000,
        "limit": int(limit),
    }


async def _body(request: Request) -> bytes:
    """Raises `InvalidInput` (`REQUEST_TOO_LARGE`)."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _inflated(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise InvalidInput(Reason.MESSAGE_INVALID, "content-encoding: gzip, deflate or none")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        whole = inflate.decompress(body, MAX_BODY_BYTES)
    except zlib.error:
        raise InvalidInput(Reason.MESSAGE_INVALID, "the body is damaged") from None
    if inflate.unconsumed_tail:
        raise _too_large()
    return whole


def _too_large() -> InvalidInput:
    return InvalidInput(Reason.REQUEST_TOO_LARGE, f"an export has at most {MAX_BODY_BYTES} bytes")


def _data(found: list[Any]) -> Response:
    return JSONResponse({"data": found, "total": len(found), "limit": 0, "offset": 0, "errors": None})


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"data": None, "errors": [{"code": status, "msg": message}]}, status_code=status)


def _jaeger(rows: list[SpanRow]) -> dict[str, Any]:
    """A trace as Jaeger's query API has it."""
    processes = {service: f"p{number}" for number, service in enumerate(sorted({row.service for row in rows}), 1)}
    return {
        "traceID": rows[0].trace_id,
        "spans": [_span(row, processes[row.service]) for row in rows],
        "processes": {key: {"serviceName": service, "tags": []} for service, key in processes.items()},
        "warnings": None,
    }


def _span(row: SpanRow, process: str) -> dict[str, Any]:
    tags = {"span.kind": row.kind, **({"error": True} if row.failed else {}), **attributes_of(row)}
    parent = {"refType": "CHILD_OF", "traceID": row.trace_id, "spanID": row.parent_id}
    return {
        "traceID": row.trace_id,
        "spanID": row.span_id,
        "operationName": row.name,
        "references": [parent] if row.parent_id else [],
        "startTime": row.started,
        "duration": row.duration,
        "tags": [{"key": name, "type": _type(value), "value": value} for name, value in tags.items()],
        "logs": [],
        "processID": process,
        "warnings": None,
    }


def _type(value: object) -> str:
    return {bool: "bool", int: "int64", float: "float64"}.get(type(value), "string")
