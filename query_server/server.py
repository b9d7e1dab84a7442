"""Assembly and life of one server: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from query_server.blocking import BlockingPool
from query_server.handlers.admin import AdminHandler
from query_server.handlers.answer import AnswerHandler
from query_server.handlers.operations import OperationsHandler
from query_server.handlers.search import SearchHandler
from query_server.http import HttpServer
from query_server.interceptors import Chain, build_chain, build_index_chain
from query_server.metrics import Metrics
from query_server.parts import Parts, open_parts
from query_server.query_embedder import QueryEmbedder
from query_server.readiness import ReadinessMonitor
from query_server.servicers.admin import AdminServicer
from query_server.servicers.index import IndexServicer
from query_server.servicers.operations import OperationsServicer
from query_server.servicers.query_v1 import QueryV1Servicer
from query_server.servicers.query_v2 import QueryV2Servicer
from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc, index_pb2, index_pb2_grpc, operations_pb2, operations_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc

LOOPBACK = "127.0.0.1"
KEEPALIVE_MS = 30_000
REMOTE_BATCHES = 4
"""Embedding requests in flight at once towards an endpoint."""
_QUERY_SERVICES = (
    v1.DESCRIPTOR.services_by_name["QueryService"].full_name,
    v2.DESCRIPTOR.services_by_name["QueryService"].full_name,
)
_ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_OPERATIONS_SERVICE = operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
_INDEX_SERVICE = index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_log = structlog.get_logger("query_server")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes a free one (`QueryServer.ports` tells which)."""

    host: str
    query: int
    metrics: int
    index: int

    @classmethod
    def of(cls, settings: Settings) -> Listen:
        """The addresses that the settings name."""
        return cls(settings.host, settings.query_port, settings.metrics_port, settings.index_port)


class QueryServer:
    """The gRPC servers and their helpers around a set of parts. The parts belong to the caller, who closes them."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self.metrics = Metrics()
        self.metrics.build.labels(server_version()).set(1)
        self._pool = BlockingPool(settings.search_threads, name="search", stuck=self.metrics.stuck_calls)
        workers, batch = _parallel_queries(settings)
        self._embedder = QueryEmbedder(
            parts.embedder,
            workers=workers,
            batch=batch,
            cache_entries=settings.query_cache_entries,
            metrics=self.metrics,
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._monitor = ReadinessMonitor(parts.index, self._pool, self.metrics, self._publish_readiness)
        self._servers: list[grpc.aio.Server] = []
        self._index_service: IndexServicer | None = None
        self._http: HttpServer | None = None
        self._watching: asyncio.Task[None] | None = None
        self.ports: Listen | None = None

    async def start(self, listen: Listen | None = None) -> Listen:
        """Listen. Raises `Conflict` (`PORT_TAKEN`) and leaves nothing open then."""
        wanted = listen or Listen.of(self._settings)
        try:
            self.ports = await self._listen(wanted)
        except BaseException:
            await self.stop(grace=0)
            raise
        await self._monitor.refresh()
        self._watching = asyncio.create_task(self._monitor.run())
        _log.info("serving", query=self.ports.query, metrics=self.ports.metrics, index=self.ports.index)
        return self.ports

    async def _listen(self, wanted: Listen) -> Listen:
        self._http = HttpServer(wanted.host, wanted.metrics, self.metrics.registry, lambda: self._monitor.state)
        clients = self._client_server()
        query = _bind(clients, wanted.host, wanted.query, "RAG_QUERY_PORT")
        index = self._bind_index(wanted.index)
        self._http.start()
        for server in self._servers:
            await server.start()
        return Listen(wanted.host, query, self._http.port, index)

    def _client_server(self) -> grpc.aio.Server:
        chain = build_chain(self._settings, self._parts.verifier, self.metrics)
        server = self._new_server(chain, self._settings.max_message_bytes)
        search = SearchHandler(self._settings, self._parts.index, self._embedder, self._pool, self.metrics)
        answers = AnswerHandler(search, self._parts.answerer, self.metrics)
        admin = AdminHandler(self._parts, self._pool, server_version())
        v1_grpc.add_QueryServiceServicer_to_server(QueryV1Servicer(answers), server)
        v2_grpc.add_QueryServiceServicer_to_server(QueryV2Servicer(search, answers), server)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(admin), server)
        operations = OperationsServicer(OperationsHandler(self._parts.store))
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (*_QUERY_SERVICES, _ADMIN_SERVICE, _OPERATIONS_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bind_index(self, port: int) -> int:
        """The index service has a listener of its own, so that the port the gateway reaches never carries it."""
        if self._settings.qdrant_url is not None or self._settings.index_secret is None:
            return 0
        server = self._new_server(
            build_index_chain(self._settings, self.metrics), self._settings.max_index_message_bytes
        )
        self._index_service = IndexServicer(self._parts.index, self.metrics)
        index_pb2_grpc.add_IndexServiceServicer_to_server(self._index_service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return _bind(server, LOOPBACK, port, "RAG_INDEX_PORT")

    def _new_server(self, chain: Chain, max_message_bytes: int) -> grpc.aio.Server:
        server = grpc.aio.server(interceptors=[chain], options=_options(self._settings, max_message_bytes))
        self._servers.append(server)
        return server

    async def _publish_readiness(self, ready: bool) -> None:
        query = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in _QUERY_SERVICES:
            await self._health.set(name, query)
        for name in ("", _ADMIN_SERVICE, _INDEX_SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Say NOT_SERVING, give balancers time to see it, then let the calls in flight finish."""
        _log.info("draining", seconds=self._settings.drain_seconds)
        await self._monitor.drain()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_seconds)
        await self.stop(grace=self._settings.grace_seconds)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, wait `grace` seconds for the others, then close what this object opened."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await asyncio.gather(*(server.stop(grace) for server in self._servers))
        await self._embedder.close()
        self._pool.close()
        if self._index_service is not None:
            await asyncio.to_thread(self._index_service.close)
        if self._http is not None:
            self._http.close()

    @property
    def stuck(self) -> bool:
        """Whether a call to the index never came back; its thread would keep the process from ending."""
        return self._pool.stuck > 0


async def serve(settings: Settings) -> bool:
    """Open the parts, serve until SIGTERM or SIGINT, drain, close. Tells whether every part came to rest.

    Raises `RagError` when it cannot start: wrong configuration, a taken port, a locked or corrupt index.
    """
    settings.require_production_secrets()
    stopping = asyncio.Event()
    with _signals(stopping):
        parts = await asyncio.to_thread(open_parts, settings)
        server = QueryServer(settings, parts)
        try:
            await server.start()
            await stopping.wait()
            await server.drain()
        finally:
            if not server.stuck:
                await parts.close()
    _log.info("stopped")
    return not server.stuck


def server_version() -> str:
    """The version of the installed distribution; `dev` in a tree that is not installed."""
    try:
        return importlib.metadata.version("rag-platform")
    except importlib.metadata.PackageNotFoundError:
        return "dev"


def _parallel_queries(settings: Settings) -> tuple[int, int]:
    """Query batches embedded at once, and their size.

    The bundled model takes as long for a text in a batch as alone (measured: 9.8 and 10.0 ms of processor time), so a
    batch would only make the first wait for the last; what uses the cores is one query on each. An endpoint has the
    cost of a request to share.
    """
    if settings.embedder == "openai":
        return REMOTE_BATCHES, settings.query_batch
    return settings.embed_threads or _cores(), 1


def _cores() -> int:
    """Cores this process may use; a container may give fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bind(server: grpc.aio.Server, host: str, port: int, setting: str) -> int:
    try:
        return server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise Conflict(Reason.PORT_TAKEN, f"port {port} is taken ({setting})") from None


def _options(settings: Settings, max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        # On by default: a forgotten process would silently take a share of the connections.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
        ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.max_deadline_seconds * 1000)),
    ]


@contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
