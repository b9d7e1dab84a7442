"""Envoy's rate limit protocol over shared counters."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from limits.errors import StorageError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from query_server.rate_limits.counting import Refusal, SharedLimits
from query_server.runtime.breaker import Breaker
from rag_core.errors import Reason, Unavailable
from rag_core.logging import get_logger
from ragproto.gateway.v1 import rate_limit_pb2 as wire

SERVICE = "envoy.service.ratelimit.v3.RateLimitService"
MAX_MESSAGE_BYTES = 65_536
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_SILENT_CALLS = 5
_log = get_logger("query_server.rate_limits")


class RateLimitMetrics:
    """The metrics of the service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.decisions = Counter(
            "rag_rate_limit_decisions",
            "Calls that a gateway asked about, by outcome: allowed, minute or hour (the limit that was used up), or"
            " failed (Redis did not answer; the gateway then does what RAG_GATEWAY_RATE_LIMITS_FAIL says).",
            ["outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rag_rate_limit_seconds", "Time of a decision.", buckets=_SECONDS, registry=self.registry
        )
        self.silent = Gauge(
            "rag_rate_limit_store_silent", "1 while Redis does not answer and is only probed.", registry=self.registry
        )
        for outcome in ("allowed", "minute", "hour", "failed"):
            self.decisions.labels(outcome)  # a series from the start, so that an alert sees its first increase


class RateLimitService:
    """Answers `ShouldRateLimit`. While the counters do not answer it fails, and the gateway decides what that means."""

    def __init__(self, limits: SharedLimits, metrics: RateLimitMetrics, *, seconds: float) -> None:
        self._limits = limits
        self._metrics = metrics
        self._seconds = seconds
        self._breaker = Breaker(
            _SILENT_CALLS,
            gauge=metrics.silent,
            reason=Reason.SERVER_UNAVAILABLE,
            what="Redis",
            waited=float("inf"),
        )

    @property
    def answers(self) -> bool:
        """True when the counters answered lately."""
        return not self._breaker.open

    async def decide(self, request: wire.RateLimitRequest) -> wire.RateLimitResponse:
        """The response to a gateway. Raises `Unavailable` when the counters do not answer."""
        clients = [{entry.key: entry.value for entry in one.entries} for one in request.descriptors]
        with self._metrics.seconds.time():
            try:
                with self._breaker.call():
                    refusal = await self._counted(clients, request.hits_addend or 1)
            except Unavailable:
                self._metrics.decisions.labels("failed").inc()
                raise
        self._metrics.decisions.labels(refusal.window.name if refusal else "allowed").inc()
        return _response(refusal)

    async def _counted(self, clients: list[dict[str, str]], hits: int) -> Refusal | None:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._limits.refusal(clients, hits)
        except (OSError, StorageError, TimeoutError) as error:
            raise Unavailable(Reason.SERVER_UNAVAILABLE, "the counters of calls do not answer") from error

    async def _should_rate_limit(self, request: wire.RateLimitRequest, context: Any) -> wire.RateLimitResponse:
        try:
            return await self.decide(request)
        except Unavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
            raise  # `abort` has raised

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register under Envoy's name."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._should_rate_limit,
            request_deserializer=wire.RateLimitRequest.FromString,
            response_serializer=wire.RateLimitResponse.SerializeToString,
        )
        named = grpc.method_handlers_generic_handler(SERVICE, {"ShouldRateLimit": handler})
        server.add_generic_rpc_handlers((named,))


async def new_server(service: RateLimitService) -> grpc.aio.Server:
    """A server of the service and of its health, not yet bound."""
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    server = grpc.aio.server(options=options)
    service.add_to(server)
    checks = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for name in ("", SERVICE):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    return server


def _response(refusal: Refusal | None) -> wire.RateLimitResponse:
    if refusal is None:
        return wire.RateLimitResponse(overall_code=wire.RateLimitResponse.CODE_OK)
    header = wire.RateLimitResponse.HeaderValue(key="retry-after", value=str(refusal.retry_after))
    return wire.RateLimitResponse(overall_code=wire.RateLimitResponse.CODE_OVER_LIMIT, response_headers_to_add=[header])
