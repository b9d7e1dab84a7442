"""`python -m query_server.rate_limits`: answer the gateways' questions until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

from query_server.rate_limits.counting import SharedLimits, close, redis_storage
from query_server.rate_limits.service import RateLimitMetrics, RateLimitService, new_server
from query_server.runtime.listening import bind, stop_signals
from query_server.runtime.program import run_program
from query_server.runtime.readiness import Readiness, health_pages
from rag_core.browser_guard import BrowserGuard
from rag_core.errors import ConfigError, Reason
from rag_core.logging import get_logger
from rag_core.settings import Settings
from rag_core.status_pages import StatusPages

GRACE_SECONDS = 2.0
_log = get_logger("query_server.rate_limits")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `RagError` when it cannot start: no Redis named, a taken port.

    A Redis that does not answer is no reason not to start: it may come later, and gateways go on without.
    """
    if settings.redis_url is None:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_REDIS_URL must be set: gateways share their counters in Redis")
    storage = redis_storage(settings.redis_url.get_secret_value(), seconds=settings.redis_seconds)
    metrics = RateLimitMetrics()
    service = RateLimitService(SharedLimits(settings, storage), metrics, seconds=settings.redis_seconds)

    def readiness() -> Readiness:
        return Readiness(degraded=() if service.answers else (Reason.SERVER_UNAVAILABLE,))

    stopping = asyncio.Event()
    address = (settings.host, settings.rate_limits_metrics_port, "RAG_RATE_LIMITS_METRICS_PORT")
    http = StatusPages(*address, metrics.registry, health_pages(readiness), BrowserGuard.of(settings))
    with stop_signals(stopping):
        server = await new_server(service)
        try:
            port = bind(server, settings.host, settings.rate_limits_port, "RAG_RATE_LIMITS_PORT")
            await server.start()
            http.start()
            _log.info("serving", port=port, metrics=http.port)
            await stopping.wait()
        finally:
            await server.stop(GRACE_SECONDS)
            await close(storage)
            http.close()
    _log.info("stopped")


def main() -> int:
    """Run and return the exit code."""
    return run_program(serve, "query_server.rate_limits")[0]


if __name__ == "__main__":
    sys.exit(main())
