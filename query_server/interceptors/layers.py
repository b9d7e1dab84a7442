"""The smaller layers: who may call, until when, errors as status, and what is logged and counted of a call."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

import grpc
import grpc.aio

from query_server.auth.authenticator import Authenticator
from query_server.auth.policies import POLICIES, allows
from query_server.interceptors.chain import Layer
from query_server.runtime.calls import CallState
from query_server.runtime.metrics import Metrics
from query_server.runtime.status import REQUEST_ID_KEY, bounded, code_of, internal_error, trailers
from query_server.runtime.traffic import Traffic
from rag_core.errors import DeadlineExceeded, Exhausted, PermissionDenied, RagError, Reason, Unauthenticated
from rag_core.governance.access import NameHash
from rag_core.logging import get_logger
from rag_core.retrieval.engines.remote import SECRET_KEY
from rag_tracing import current_ids, entry, exemplar, openinference

# --------------------------------------------------------------------------------------------------------------------
# Authorisation: a verified identity with the method's scope, or the local secret for the index service.


def require_identity(authenticator: Authenticator) -> Layer:
    """Verify the credentials and check the scope of the policy table; a method without a policy is refused."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        call.identity = await authenticator.authenticate(call)
        policy = POLICIES.get(call.method)
        if policy is None or not allows(call.identity.scopes, policy.scope):
            wanted = policy.scope if policy else "none that can be granted"
            raise PermissionDenied(Reason.SCOPE_MISSING, f"this method needs the scope {wanted}")
        yield

    return layer


def require_index_secret(secrets: Sequence[bytes]) -> Layer:
    """Compare with each of the local secrets in constant time. None configured admits nobody."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        given = (call.header(SECRET_KEY) or "").encode("utf-8", "surrogatepass")
        if not any(hmac.compare_digest(given, expected) for expected in secrets):
            raise Unauthenticated(Reason.TOKEN_INVALID, f"{SECRET_KEY}: missing or wrong")
        yield

    return layer


# --------------------------------------------------------------------------------------------------------------------
# Every call ends by a deadline: the client's, at most our cap, our default when it brings none.


_NO_DEADLINE = 365 * 86_400
_TOO_SHORT = 0.001
"""Deadlines below this (in seconds) fail at once, because nothing can be answered in time."""


def limit_time(*, default: float, cap: float) -> Layer:
    """Cancel the handler when its time is over and answer DEADLINE_EXCEEDED. Both limits in seconds."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        remaining = call.context.time_remaining()
        unlimited = remaining is None or remaining > _NO_DEADLINE
        allowed = default if unlimited else min(float(remaining), cap)
        call.deadline = call.started + allowed
        if allowed <= _TOO_SHORT:
            raise _exceeded(allowed)
        try:
            async with asyncio.timeout(call.deadline - time.monotonic()) as timer:
                yield
        except TimeoutError:
            if timer.expired():
                raise _exceeded(allowed) from None
            raise

    return layer


def _exceeded(allowed: float) -> DeadlineExceeded:
    return DeadlineExceeded(Reason.DEADLINE, f"not finished within {max(allowed, 0):.3g} seconds")


# --------------------------------------------------------------------------------------------------------------------
# Errors become statuses here and nowhere else.


_log = get_logger("query_server.error")


def map_errors(*, pushback_ms: int) -> Layer:
    """Abort with the status of a `RagError`; anything else is a bug, logged here and reported without its text."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        try:
            yield
        except RagError as error:
            await _abort(call, error, pushback_ms if isinstance(error, Exhausted) else None)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("bug", method=call.method, request_id=call.request_id)
            await _abort(call, internal_error(), None)

    return layer


async def _abort(call: CallState, error: RagError, pushback_ms: int | None) -> None:
    call.reason = error.reason
    metadata = trailers(error, call.request_id, pushback_ms=pushback_ms)
    await call.context.abort(code_of(error), bounded(error.message), metadata)


# --------------------------------------------------------------------------------------------------------------------
# The span of each call, around every other layer.


_W3C = ("traceparent", "tracestate")
_OURS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that are failures of a server to the conventions of OpenTelemetry; others are the caller's doing."""


def trace_calls(*, begins: bool) -> Layer:
    """Continue the caller's trace. `begins`: or begin one, when the sampler wants it."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        found = ((name, call.header(name)) for name in _W3C)
        headers = {name: value for name, value in found if value}
        method = call.method.lstrip("/")
        known = {"rpc.system.name": "grpc", "rpc.method": method, **openinference.CHAIN}
        with entry(method, headers, known, begins=begins) as span:
            call.span = span
            yield

    return layer


# --------------------------------------------------------------------------------------------------------------------
# Request id, metrics and the one log line of each call. It sees every outcome.


_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SHED = (Reason.OVERLOADED, Reason.RATE_LIMITED)
_observe_log = get_logger("query_server.call")


def observe(metrics: Metrics, hashes: NameHash, traffic: Traffic | None = None, *, quiet_seconds: float = 0.0) -> Layer:
    """Number, time, count and log each call. Neither query text nor identity in clear is logged.

    Calls that succeed within `quiet_seconds` have no line.
    """
    counters = _Counters(metrics)

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        call.request_id = _request_id(call.header(REQUEST_ID_KEY))
        call.context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
        in_flight = counters.in_flight(call.method)
        in_flight.inc()
        cancelled = False
        try:
            yield
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            in_flight.dec()
            code = _outcome(call, cancelled=cancelled)
            seconds = _count(call, counters, hashes, traffic, code)
            if code != "OK" or seconds >= quiet_seconds:
                _log_call(call, hashes, code, seconds)

    return layer


class _Counters:
    """The metrics of calls by their labels, which are bounded, kept so that a call looks them up only once."""

    def __init__(self, metrics: Metrics) -> None:
        self.tenant = metrics.tenant
        self.in_flight, self.seconds = cache(metrics.in_flight.labels), cache(metrics.seconds.labels)
        self.requests, self.tenant_calls = cache(metrics.requests.labels), cache(metrics.tenant_calls.labels)


def _request_id(given: str | None) -> str:
    """The caller's id, else that of the trace, so that each leads to the other; a call without either gets a UUID."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    ids = current_ids()
    return ids[0] if ids else str(uuid.uuid4())


def _outcome(call: CallState, *, cancelled: bool) -> str:
    if not cancelled:
        return _status_name(call.context.code())
    # gRPC cancels the task both when the client leaves and when the deadline passes; the clock shows which.
    expired = time.monotonic() >= call.deadline
    call.reason = Reason.DEADLINE if expired else Reason.CANCELLED
    return grpc.StatusCode.DEADLINE_EXCEEDED.name if expired else grpc.StatusCode.CANCELLED.name


_STATUS_NAMES: dict[object, str] = {known.value[0]: known.name for known in grpc.StatusCode}


def _status_name(code: object) -> str:
    """grpc.aio keeps the integer once a status was sent and the enumeration when it was only set; 0 is OK."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _STATUS_NAMES.get(code or 0, grpc.StatusCode.UNKNOWN.name)


def _count(call: CallState, counters: _Counters, hashes: NameHash, traffic: Traffic | None, code: str) -> float:
    """Count the call; returns its seconds."""
    seconds = time.monotonic() - call.started
    counters.requests(call.method, code, call.reason).inc()
    counters.seconds(call.method).observe(seconds, exemplar())
    identity = call.identity
    tenant = hashes.tenant(identity.tenant) if identity else None
    call.span.set({"rpc.response.status_code": code, "rag.request_id": call.request_id, "rag.tenant": tenant})
    call.span.end_as("" if code == "OK" else call.reason or code, failed=code in _OURS)
    if identity is not None and tenant is not None:
        outcome = "ok" if code == "OK" else "shed" if call.reason in _SHED else "failed"
        counters.tenant_calls(counters.tenant(tenant), outcome).inc()
        if traffic is not None:
            traffic.record_call(identity.tenant, call.method, seconds, "" if code == "OK" else call.reason or code)
    return seconds


def _log_call(call: CallState, hashes: NameHash, code: str, seconds: float) -> None:
    identity = call.identity
    _observe_log.info(
        "call",
        method=call.method,
        code=code,
        reason=call.reason,
        ms=round(seconds * 1000, 2),
        request_id=call.request_id,
        tenant=hashes.tenant(identity.tenant) if identity else None,
        subject=hashes.subject(identity.tenant, identity.subject) if identity else None,
        **call.log_fields,
    )
