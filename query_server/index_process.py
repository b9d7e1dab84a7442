"""`python -m query_server.index_process`: the process that owns the embedded index folder.

Every call of the engine holds the interpreter lock of its process, so the engine has one to itself: a slow or hung call
stops neither the query server's event loop nor its deadlines (docs/explanation/query-server.md has the measurements).
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from query_server.interceptors.stack import build_index_chain
from query_server.runtime.listening import LOOPBACK, bind, new_index_server, stop_signals
from query_server.runtime.mending import mended
from query_server.runtime.metrics import Metrics
from query_server.runtime.program import run_program
from query_server.runtime.readiness import Readiness, health_pages
from query_server.servicers.index import IndexServicer
from rag_core.browser_guard import BrowserGuard
from rag_core.errors import ConfigError, Reason
from rag_core.logging import get_logger
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.edge import EdgeIndex, background_optimizer
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings
from rag_core.status_pages import StatusPages
from rag_tracing import start_tracing
from ragproto.admin.v1 import index_pb2, index_pb2_grpc

GRACE_SECONDS = 10.0
_SERVICE = index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_log = get_logger("query_server.index")


@dataclass(frozen=True, slots=True)
class IndexBindAddresses:
    """The two ports, 0 for a free one: the index service on loopback, and metrics over HTTP."""

    index: int
    metrics: int


class IndexServer:
    """IndexService, its health and its metrics around an open index. The index belongs to the caller."""

    def __init__(self, settings: Settings, index: VectorIndex) -> None:
        self._settings = settings
        self._index = index
        self.metrics = Metrics()
        self._service = IndexServicer(index, self.metrics, searches_in_loop=True)
        self._server: grpc.aio.Server | None = None
        self._http: StatusPages | None = None

    async def start(self, addresses: IndexBindAddresses) -> IndexBindAddresses:
        """Listen; gives the ports. Raises `Conflict` (`PORT_TAKEN`)."""
        settings = self._settings
        address = (settings.host, addresses.metrics, "RAG_INDEX_METRICS_PORT")
        self._http = StatusPages(
            *address, self.metrics.registry, health_pages(self._readiness), BrowserGuard.of(settings)
        )
        chain = build_index_chain(settings, self.metrics)
        self._server = new_index_server(settings, chain)
        index_pb2_grpc.add_IndexServiceServicer_to_server(self._service, self._server)
        checks = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(checks, self._server)
        port = bind(self._server, LOOPBACK, addresses.index, "RAG_INDEX_PORT")
        for name in ("", _SERVICE):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        self._http.start()
        _log.info("serving", index=port, metrics=self._http.port)
        return IndexBindAddresses(port, self._http.port)

    def _readiness(self) -> Readiness:
        generation = self._index.alias()
        if isinstance(self._index, EdgeIndex) and self._index.damaged():
            return Readiness(reasons=(Reason.INDEX_CORRUPT,), generation=generation)
        return Readiness(reasons=() if generation else (Reason.INDEX_EMPTY,), generation=generation)

    async def stop(self) -> None:
        """Let the calls in flight finish, the writes that have begun to their end."""
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)
        await asyncio.to_thread(self._service.close)
        if self._http is not None:
            self._http.close()


async def serve(settings: Settings) -> None:
    """Open the folder and serve until SIGTERM or SIGINT.

    Raises `RagError` when it cannot start: a locked or corrupt folder, a taken port, no `RAG_INDEX_SECRET`.
    """
    settings.require_production_secrets()
    if settings.qdrant_url is not None:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_QDRANT_URL is set: there is no embedded index to serve")
    if settings.index_secret is None:
        raise ConfigError(Reason.SECRET_MISSING, "RAG_INDEX_SECRET must be set to serve the index to other processes")
    stopping = asyncio.Event()
    start_tracing("index", content=settings.trace_content)
    with stop_signals(stopping):
        # This process is the one that the others reach through the endpoint, so it opens the folder itself.
        own = settings.model_copy(update={"index_endpoint": None})
        index = await asyncio.to_thread(open_index, own, repair=settings.index_rebuild_damaged)
        try:
            server = IndexServer(settings, index)
            try:
                await server.start(IndexBindAddresses(settings.index_port, settings.index_metrics_port))
                with background_optimizer(index, settings), mended(index, settings, server.metrics):
                    await stopping.wait()
            finally:
                await server.stop()
        finally:
            await asyncio.to_thread(index.close)
    _log.info("stopped")


def main() -> int:
    """Run and return the exit code."""
    return run_program(serve, "query_server.index")[0]


if __name__ == "__main__":
    sys.exit(main())
