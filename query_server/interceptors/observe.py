"""Request id, metrics and the one log line of each call. The outermost layer, so it sees every outcome."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from query_server.calls import Call
from query_server.interceptors.chain import Layer
from query_server.metrics import Metrics
from query_server.status import REQUEST_ID_KEY
from rag_core.errors import Reason
from rag_core.keyed_hash import NameHash
from rag_core.logging import get_logger

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SHED = (Reason.OVERLOADED, Reason.RATE_LIMITED)
_log = get_logger("query_server.call")


def observe(metrics: Metrics, hashes: NameHash) -> Layer:
    """Number, time and log each call. Neither query text nor identity in clear is logged."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        call.request_id = _request_id(call.header(REQUEST_ID_KEY))
        call.context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
        in_flight = metrics.in_flight.labels(call.method)
        in_flight.inc()
        cancelled = False
        try:
            yield
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            in_flight.dec()
            _report(call, metrics, hashes, _outcome(call, cancelled=cancelled))

    return layer


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _outcome(call: Call, *, cancelled: bool) -> str:
    if not cancelled:
        return grpc.StatusCode(_status_tuple(call.context.code())).name
    # gRPC cancels the task both when the client leaves and when the deadline passes; the clock tells which.
    expired = time.monotonic() >= call.deadline
    call.reason = Reason.DEADLINE if expired else Reason.CANCELLED
    return grpc.StatusCode.DEADLINE_EXCEEDED.name if expired else grpc.StatusCode.CANCELLED.name


def _status_tuple(code: object) -> object:
    """grpc.aio keeps the integer once a status was sent and the enumeration when it was only set; 0 is OK."""
    if isinstance(code, grpc.StatusCode):
        return code
    return next((known for known in grpc.StatusCode if known.value[0] == (code or 0)), grpc.StatusCode.UNKNOWN)


def _report(call: Call, metrics: Metrics, hashes: NameHash, code: str) -> None:
    seconds = time.monotonic() - call.started
    metrics.requests.labels(call.method, code, call.reason).inc()
    metrics.seconds.labels(call.method).observe(seconds)
    identity = call.identity
    tenant = hashes.tenant(identity.tenant) if identity else None
    if tenant is not None:
        outcome = "ok" if code == "OK" else "shed" if call.reason in _SHED else "failed"
        metrics.tenant_calls.labels(metrics.tenant(tenant), outcome).inc()
    _log.info(
        "call",
        method=call.method,
        code=code,
        reason=call.reason,
        ms=round(seconds * 1000, 2),
        request_id=call.request_id,
        tenant=tenant,
        subject=hashes.subject(identity.tenant, identity.subject) if identity else None,
        **call.facts,
    )
