"""Assembly and lifecycle of one server: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import secrets
from contextlib import AsyncExitStack, suppress

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from query_server.auth.audit import AuditTrail
from query_server.auth.authenticator import Authenticator
from query_server.auth.sessions import SessionRecorder
from query_server.auth.tenants import Tenants
from query_server.auth.usage import UsageMeter, shared_counters
from query_server.caches import Caches
from query_server.handlers.admin.generations import GenerationsHandler
from query_server.handlers.query.embedder import QueryEmbedder, StateLimits, parallel_queries
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.ordering import Ordering
from query_server.handlers.query.revocation_filter import RevocationFilter
from query_server.handlers.query.searcher import DamageDetector, LocalSearcher, RemoteSearcher, Searcher, TimedSearcher
from query_server.interceptors.concurrency import RecentTenants
from query_server.interceptors.stack import build_chain, build_index_chain, build_limiters
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import Dependencies, open_dependencies
from query_server.runtime.listening import (
    LOOPBACK,
    BindAddresses,
    bind,
    new_index_server,
    new_server,
    stop_signals,
    tls_credentials,
)
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import BackgroundTasks
from query_server.runtime.readiness import ReadinessMonitor, health_pages
from query_server.runtime.traffic import Traffic
from query_server.servicers.index import IndexServicer
from query_server.services import ADMIN_SERVICE, DOCUMENT_SERVICE, QUERY_SERVICES, HandlerInputs, add_services
from rag_core.browser_guard import BrowserGuard
from rag_core.content.embedding import Embedder
from rag_core.errors import Reason
from rag_core.governance.access import NameHash
from rag_core.logging import get_logger
from rag_core.retrieval.engines.edge import background_optimizer
from rag_core.settings import Settings
from rag_core.status_pages import StatusPages
from rag_tracing import start_tracing
from ragproto.admin.v1 import index_pb2, index_pb2_grpc

FIRST_READ_SECONDS = 5.0
SETTLE_SECONDS = 2.0
"""Time that calls of index and database without a caller get to return before the process leaves without them."""
_INDEX_SERVICE = index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_log = get_logger("query_server")


class QueryServer:
    """The gRPC servers and their helpers around a set of dependencies, which the caller closes."""

    def __init__(self, settings: Settings, dependencies: Dependencies) -> None:
        observer = dependencies.observer_store
        self._settings = settings
        self._dependencies = dependencies
        self._hashes = NameHash(settings.rotating("hash_secret"))
        self.metrics = Metrics()
        self.metrics.build.labels(server_version()).set(1)
        self.metrics.stuck_database_calls.set_function(lambda: dependencies.store.threads.stuck)
        self._pool = BlockingPool(settings.search_threads, name="search", stuck=self.metrics.stuck_calls)
        self._tenants = Tenants(observer, settings)
        self._embedder = self._query_embedder(dependencies.embedder)
        self._models = QueryModels(
            settings,
            dependencies.index,
            self._embedder,
            dependencies.embedder.fingerprint,
            observer,
            self._pool,
            self._query_embedder,
        )
        self.caches = Caches(settings, observer, self.metrics, self._tenants, self._models)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._ordering = Ordering(
            dependencies.reranker,
            self.metrics,
            window=settings.rerank_candidates,
            calls=settings.search_slots if settings.reranker_url else None,
        )
        self._sessions = SessionRecorder(observer)
        self._authenticator = Authenticator(
            dependencies.verifier,
            observer,
            self.caches.revocations,
            self._sessions,
            self._tenants,
            self.caches.directories,
        )
        self._audit = AuditTrail(dependencies.store, self.metrics, settings)
        self._traffic = Traffic(observer, settings)
        self._counters = shared_counters(settings)
        self.usage = UsageMeter(
            observer, self.metrics, seconds=settings.usage_seconds, hashes=self._hashes, shared=self._counters
        )
        self._generations = GenerationsHandler(settings, dependencies)
        self._monitor = ReadinessMonitor(
            dependencies.index,
            self._models.problem,
            self._pool,
            self.metrics,
            self._publish_readiness,
            requirements={
                Reason.REVOCATIONS_UNKNOWN: lambda: self.caches.know_access,
                Reason.INDEX_CORRUPT: lambda: self._watched is None or self._watched.sound,
            },
        )
        self._servers: list[grpc.aio.Server] = []
        self._index_service: IndexServicer | None = None
        self._searcher: Searcher | None = None
        self._watched: DamageDetector | None = None
        self._http: StatusPages | None = None
        self._background = BackgroundTasks(self.metrics.background_failures)
        self.ports: BindAddresses | None = None

    def _query_embedder(self, embedder: Embedder) -> QueryEmbedder:
        workers, batch = parallel_queries(self._settings, embedder)
        return QueryEmbedder(
            embedder,
            workers=workers,
            batch=batch,
            cache_entries=self._settings.query_cache_entries,
            states=StateLimits(self._settings.answer_cache_entries, self._settings.answer_cache_bytes),
            metrics=self.metrics,
            policy=self._tenants.policy,
        )

    async def start(self, addresses: BindAddresses | None = None) -> BindAddresses:
        """Listen. Raises `Conflict` (`PORT_TAKEN`) and leaves nothing open then."""
        wanted = addresses or BindAddresses.of(self._settings)
        with suppress(TimeoutError):  # a database that hangs must not keep the server from saying why it is not ready
            async with asyncio.timeout(FIRST_READ_SECONDS):
                await self.caches.read_access()
        try:
            self.ports = await self._listen(wanted)
        except BaseException:
            await self.stop(grace=0)
            raise
        await self._monitor.refresh()
        works = {
            "readiness": self._monitor.run,
            "query models": self._models.run,
            "audit": self._audit.run,
            "sessions": self._sessions.run,
            "usage": self.usage.run,
            **({"shared usage": self.usage.run_shared} if self._counters is not None else {}),
            "revocation listener": self.caches.listener.run,
        }
        for name, work in (works | {name: poller.run for name, poller in self.caches.pollers.items()}).items():
            self._background.start(name, work)
        self._traffic.start()
        _log.info("serving", query=self.ports.query, metrics=self.ports.metrics, index=self.ports.index)
        return self.ports

    async def _listen(self, wanted: BindAddresses) -> BindAddresses:
        pages = health_pages(lambda: self._monitor.state)
        address = (wanted.host, wanted.metrics, "RAG_METRICS_PORT")
        self._http = StatusPages(*address, self.metrics.registry, pages, BrowserGuard.of(self._settings))
        searcher: Searcher = TimedSearcher(self._make_searcher(), self._settings.default_deadline_seconds)
        if self._settings.qdrant_url is None:  # damage on a Qdrant server is the same for every replica
            searcher = self._watched = DamageDetector(searcher)
        self._searcher = RevocationFilter(searcher, self.caches.pending)
        clients = self._client_server(self._searcher)
        query = bind(clients, wanted.host, wanted.query, "RAG_QUERY_PORT", tls_credentials(self._settings))
        index = self._bind_index(wanted.index)
        self._http.start()
        for server in self._servers:
            await server.start()
        return BindAddresses(wanted.host, query, self._http.port, index)

    def _client_server(self, searcher: Searcher) -> grpc.aio.Server:
        settings, metrics = self._settings, self.metrics
        recent = RecentTenants()
        limiters = build_limiters(settings, metrics, recent)
        chain = build_chain(
            settings,
            self._authenticator,
            self._audit,
            metrics,
            limiters,
            recent,
            self._hashes,
            self._traffic,
            self.usage,
        )
        server = new_server(settings, chain)
        self._servers.append(server)
        inputs = HandlerInputs(
            settings=settings,
            dependencies=self._dependencies,
            metrics=metrics,
            caches=self.caches,
            models=self._models,
            embedder=self._embedder,
            pool=self._pool,
            ordering=self._ordering,
            traffic=self._traffic,
            usage=self.usage,
            generations=self._generations,
            version=server_version(),
            secrets=_token_secrets(settings),
            hashes=self._hashes,
        )
        add_services(server, inputs, searcher, limiters, self._authenticator)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    def _make_searcher(self) -> Searcher:
        endpoint = self._dependencies.endpoint
        if endpoint is None:
            return LocalSearcher(self._dependencies.index, self._pool, self.metrics)
        secret = self._settings.index_secret.get_secret_value() if self._settings.index_secret else ""
        return RemoteSearcher(endpoint, secret, self.metrics)

    def _bind_index(self, port: int) -> int:
        """The index service has a listener of its own, so that the port the gateway reaches never carries it."""
        if self._dependencies.endpoint is not None or self._settings.qdrant_url is not None:
            return 0  # another process serves it, or there is no folder to serve
        if self._settings.index_secret is None:
            return 0
        server = new_index_server(self._settings, build_index_chain(self._settings, self.metrics))
        self._servers.append(server)
        self._index_service = IndexServicer(self._dependencies.index, self.metrics)
        index_pb2_grpc.add_IndexServiceServicer_to_server(self._index_service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return bind(server, LOOPBACK, port, "RAG_INDEX_PORT")

    async def _publish_readiness(self, ready: bool) -> None:
        query = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in QUERY_SERVICES:
            await self._health.set(name, query)
        for name in ("", DOCUMENT_SERVICE, ADMIN_SERVICE, _INDEX_SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Say NOT_SERVING, give balancers time to see it, then let the calls in flight finish."""
        _log.info("draining", seconds=self._settings.drain_seconds)
        try:
            await self._monitor.drain()
            await self._health.enter_graceful_shutdown()
            await asyncio.sleep(self._settings.drain_seconds)
        finally:
            await self.stop(grace=self._settings.grace_seconds)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, wait `grace` seconds for the others, then close what this object opened.

        Every step is taken, whatever one before it raises.
        """
        async with AsyncExitStack() as closing:  # what is entered last is closed first
            if self._http is not None:
                closing.callback(self._http.close)
            if self._index_service is not None:
                closing.push_async_callback(asyncio.to_thread, self._index_service.close)
            closing.callback(self._ordering.close)
            for pool in self._own_pools:
                closing.callback(pool.close)
            closing.push_async_callback(self._settle)
            if self._searcher is not None:
                closing.push_async_callback(self._searcher.close)
            closing.push_async_callback(self._embedder.close)
            closing.push_async_callback(self._models.close)
            closing.push_async_callback(self._generations.close, grace)
            closing.push_async_callback(asyncio.to_thread, self._traffic.close)
            closing.push_async_callback(self._audit.flush)
            closing.push_async_callback(self._sessions.flush)
            closing.push_async_callback(self.usage.close)
            closing.push_async_callback(self._background.stop)
            closing.push_async_callback(self._stop_servers, grace)

    @property
    def _own_pools(self) -> list[BlockingPool]:
        own = [self._pool, self._models.thread, self._authenticator.threads, self.usage.thread]
        return [*own, *self.caches.threads]

    async def _settle(self) -> None:
        pools = (*self._own_pools, self._dependencies.store.threads)
        await asyncio.gather(*(pool.settle(SETTLE_SECONDS) for pool in pools))

    async def _stop_servers(self, grace: float) -> None:
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    @property
    def stuck(self) -> bool:
        """True when a call of index or database never came back; its thread would keep the process from ending."""
        pools = (*self._own_pools, self._dependencies.store.threads)
        return self._generations.stuck or any(pool.stuck for pool in pools)


async def serve(settings: Settings) -> bool:
    """Open the dependencies, serve until SIGTERM or SIGINT, drain, close. Returns whether every thread ended.

    Raises `RagError` when it cannot start: wrong configuration, a taken port, a locked or corrupt index.
    """
    settings.require_production_secrets()
    settings.require_serving_secrets()
    stopping = asyncio.Event()
    start_tracing("query-server", content=settings.trace_content)
    with stop_signals(stopping):
        dependencies = await asyncio.to_thread(open_dependencies, settings)
        server = QueryServer(settings, dependencies)
        try:
            await server.start()
            gc.freeze()  # what a start makes stays: the collector would stop all calls to look through it
            try:
                with background_optimizer(dependencies.index, settings):
                    await stopping.wait()
            finally:
                await server.drain()
        finally:
            if not server.stuck:
                await dependencies.close()
    _log.info("stopped")
    return not server.stuck


def server_version() -> str:
    """The version of the installed distribution; `dev` in a tree that is not installed."""
    try:
        return importlib.metadata.version("rag-platform")
    except importlib.metadata.PackageNotFoundError:
        return "dev"


def _token_secrets(settings: Settings) -> tuple[bytes, ...]:
    """The secrets of the page and resume tokens; when none is set, one of this process alone."""
    if known := settings.rotating("page_token_secret"):
        return known
    _log.warning("page and resume tokens work with this process only; set RAG_PAGE_TOKEN_SECRET for several servers")
    return (secrets.token_bytes(32),)
