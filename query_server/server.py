"""Assembly and lifecycle of one server: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import importlib.metadata
import secrets
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from query_server.administration import add_administration
from query_server.auth.audit import AuditTrail
from query_server.auth.authenticator import Authenticator
from query_server.auth.directories import Directories
from query_server.auth.policies import ConcurrencyClass
from query_server.auth.revocations import PendingRevocationCache, Revocations
from query_server.auth.sessions import SessionRecorder
from query_server.auth.tenants import Tenants
from query_server.auth.usage import UsageMeter, shared_counters
from query_server.handlers.admin.asking_as import AskingAsHandler
from query_server.handlers.admin.conditions import ConditionsHandler
from query_server.handlers.admin.curations import CurationsHandler
from query_server.handlers.admin.documents import InspectionHandler
from query_server.handlers.admin.generations import GenerationsHandler
from query_server.handlers.admin.handler import AdminHandler
from query_server.handlers.admin.operations import OperationsHandler
from query_server.handlers.documents.access import ExplainAccessHandler
from query_server.handlers.documents.handler import DocumentsHandler
from query_server.handlers.documents.pages import PagesHandler
from query_server.handlers.feedback import FeedbackHandler
from query_server.handlers.paging import ListPages, PageTokens
from query_server.handlers.query.answer import AnswerHandler
from query_server.handlers.query.answerers import Answerers
from query_server.handlers.query.conversation import Conversations
from query_server.handlers.query.curations import Curations, SourceFreshness
from query_server.handlers.query.embedder import QueryEmbedder, StateLimits, parallel_queries
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.ordering import Ordering
from query_server.handlers.query.resuming import ResumeTokens
from query_server.handlers.query.revocation_filter import RevocationFilter
from query_server.handlers.query.search import BatchHandler, SearchHandler
from query_server.handlers.query.searcher import DamageDetector, LocalSearcher, RemoteSearcher, Searcher, TimedSearcher
from query_server.handlers.query.suggestions import Suggestions
from query_server.handlers.usage import UsageHandler
from query_server.interceptors.chain import Chain
from query_server.interceptors.stack import build_chain, build_index_chain, build_limiters
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import Dependencies, open_dependencies
from query_server.runtime.gauges import Freshness, GenerationGauges, SourceGauges
from query_server.runtime.listening import LOOPBACK, BindAddresses, bind, new_server, stop_signals, tls_credentials
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import BackgroundTasks, Poller, RevocationListener
from query_server.runtime.readiness import ReadinessMonitor, health_pages
from query_server.runtime.traffic import Traffic
from query_server.servicers.admin import AdminServicer
from query_server.servicers.curations import CurationServicer
from query_server.servicers.documents import DocumentServicer
from query_server.servicers.index import IndexServicer
from query_server.servicers.operations import OperationsServicer
from query_server.servicers.query_v1 import QueryV1Servicer
from query_server.servicers.query_v2 import QueryV2Servicer
from query_server.servicers.reflection import GuardedReflection
from query_server.servicers.usage import UsageServicer
from rag_core.browser_guard import BrowserGuard
from rag_core.content.embedding import Embedder
from rag_core.errors import Reason
from rag_core.governance.access import NameHash
from rag_core.logging import get_logger
from rag_core.retrieval.engines.edge import background_optimizer
from rag_core.settings import Settings
from rag_core.status_pages import StatusPages
from rag_tracing import start_tracing
from ragproto.admin.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    index_pb2,
    index_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import curation_pb2, curation_pb2_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc

FIRST_READ_SECONDS = 5.0
SETTLE_SECONDS = 2.0
"""Time that calls of index and database without a caller get to return before the process leaves without them."""
_QUERY_SERVICES = (
    v1.DESCRIPTOR.services_by_name["QueryService"].full_name,
    v2.DESCRIPTOR.services_by_name["QueryService"].full_name,
)
_DOCUMENT_SERVICE = documents_pb2.DESCRIPTOR.services_by_name["DocumentService"].full_name
_ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_OPERATIONS_SERVICE = operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
_USAGE_SERVICE = usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name
_CURATION_SERVICE = curation_pb2.DESCRIPTOR.services_by_name["CurationService"].full_name
_INDEX_SERVICE = index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
_log = get_logger("query_server")


class QueryServer:
    """The gRPC servers and their helpers around a set of dependencies, which the caller closes."""

    def __init__(self, settings: Settings, dependencies: Dependencies) -> None:
        self._settings = settings
        self._dependencies = dependencies
        self.metrics = Metrics()
        self.metrics.build.labels(server_version()).set(1)
        self.metrics.stuck_database_calls.set_function(lambda: dependencies.store.threads.stuck)
        self._pool = BlockingPool(settings.search_threads, name="search", stuck=self.metrics.stuck_calls)
        self._tenants = Tenants(dependencies.observer_store, settings)
        self._embedder = self._query_embedder(dependencies.embedder)
        self._models = QueryModels(
            settings,
            dependencies.index,
            self._embedder,
            dependencies.embedder.fingerprint,
            dependencies.observer_store,
            self._pool,
            self._query_embedder,
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._ordering = Ordering(
            dependencies.reranker,
            self.metrics,
            window=settings.rerank_candidates,
            calls=settings.search_slots if settings.reranker_url else None,
        )
        self._curations = Curations(dependencies.observer_store, self._models, similarity=settings.curation_similarity)
        self._source_freshness = SourceFreshness(dependencies.observer_store)
        self._freshness = Freshness(dependencies.observer_store, self.metrics, seconds=settings.freshness_seconds)
        self._revocations = Revocations(dependencies.observer_store, max_age=settings.acl_max_age_seconds)
        self._sessions = SessionRecorder(dependencies.observer_store)
        self._directories = Directories(dependencies.observer_store, max_age=settings.acl_max_age_seconds)
        self._authenticator = Authenticator(
            dependencies.verifier,
            dependencies.observer_store,
            self._revocations,
            self._sessions,
            self._tenants,
            self._directories,
        )
        self._audit = AuditTrail(dependencies.store, self.metrics, settings)
        self._pending_revocations = PendingRevocationCache(
            dependencies.observer_store, self.metrics, max_age=settings.acl_max_age_seconds
        )
        self._traffic = Traffic(dependencies.observer_store, settings)
        self._counters = shared_counters(settings)
        self.usage = UsageMeter(
            dependencies.observer_store,
            self.metrics,
            seconds=settings.usage_seconds,
            hashes=NameHash(settings.rotating("hash_secret")),
            shared=self._counters,
        )
        self._generations = GenerationsHandler(settings, dependencies)
        self._monitor = ReadinessMonitor(
            dependencies.index,
            self._models.problem,
            self._pool,
            self.metrics,
            self._publish_readiness,
            requirements={
                Reason.REVOCATIONS_UNKNOWN: lambda: self.has_revocations,
                Reason.INDEX_CORRUPT: lambda: self._watched is None or self._watched.sound,
            },
        )
        self._servers: list[grpc.aio.Server] = []
        self._index_service: IndexServicer | None = None
        self._searcher: Searcher | None = None
        self._watched: DamageDetector | None = None
        self._http: StatusPages | None = None
        self._pollers: dict[str, Poller[Any]] = {
            "revocations": self._revocations.poller,
            "tenants": self._tenants.poller,
            "directories": self._directories.poller,
            "permissions": self._pending_revocations.poller,
            "pushed deletions": self._pending_revocations.deletions,
            "curations": self._curations.poller,
            "source freshness": self._source_freshness.poller,
            "freshness": self._freshness.poller,
            "source gauges": SourceGauges(dependencies.observer_store, self.metrics).poller,
            "generation gauges": GenerationGauges(dependencies.observer_store, self.metrics).poller,
        }
        self._listener = RevocationListener(
            dependencies.observer_store,
            settings.database_connect_timeout_seconds,
            self._revocations.poller,
            self._tenants.poller,
            self._directories.poller,
            self._pending_revocations.poller,
            self._pending_revocations.deletions,
            self._curations.poller,
        )
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
                pending = self._pending_revocations
                first = (
                    pending.poller,
                    self._revocations.poller,
                    pending.deletions,
                    self._tenants.poller,
                    self._directories.poller,
                )
                await asyncio.gather(*(one.refresh() for one in first))
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
            "revocation listener": self._listener.run,
        }
        for name, work in (works | {name: poller.run for name, poller in self._pollers.items()}).items():
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
        self._searcher = RevocationFilter(searcher, self._pending_revocations)
        clients = self._client_server(self._searcher)
        query = bind(clients, wanted.host, wanted.query, "RAG_QUERY_PORT", tls_credentials(self._settings))
        index = self._bind_index(wanted.index)
        self._http.start()
        for server in self._servers:
            await server.start()
        return BindAddresses(wanted.host, query, self._http.port, index)

    def _client_server(self, searcher: Searcher) -> grpc.aio.Server:
        limiters = build_limiters(self._settings, self.metrics)
        hashes = NameHash(self._settings.rotating("hash_secret"))
        chain = build_chain(
            self._settings, self._authenticator, self._audit, self.metrics, limiters, hashes, self._traffic, self.usage
        )
        server = self._new_server(chain, self._settings.max_message_bytes)
        signers = _token_secrets(self._settings)
        pages = ListPages(*signers)
        search = SearchHandler(
            self._settings,
            searcher,
            self._models,
            ordering=self._ordering,
            tokens=PageTokens(*signers),
            freshness=self._freshness,
            traffic=self._traffic,
            policy=self._tenants.policy,
            curations=self._curations,
            freshness_of=self._source_freshness.of,
            suggestions=Suggestions(self._dependencies.observer_store, self._settings.metadata_types),
        )
        batches = BatchHandler(search, limiters[ConcurrencyClass.SEARCH])
        answerers = Answerers.of_settings(self._settings, self._dependencies.answerer, self.metrics)
        conversations = Conversations(self._settings, self.metrics)
        resumes = ResumeTokens(*signers)
        answers = AnswerHandler(search, answerers, conversations, resumes, self.metrics, self._traffic, self.usage)
        admin = AdminHandler(self._dependencies, self._embedder, self._pool, server_version())
        v1_grpc.add_QueryServiceServicer_to_server(QueryV1Servicer(answers), server)
        documents_handler = DocumentsHandler(self._settings, self._dependencies)
        access = ExplainAccessHandler(self._dependencies.store, searcher, self._pending_revocations)
        documents = DocumentServicer(documents_handler, access, pages)
        documents_pb2_grpc.add_DocumentServiceServicer_to_server(documents, server)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(admin, self._generations), server)
        store = self._dependencies.store
        feedback = FeedbackHandler(
            store,
            per_hour=self._settings.feedback_per_hour,
            keep_answers=self._settings.feedback_answers == "plain",
        )
        usage = UsageHandler(store, self.usage)
        queries = QueryV2Servicer(
            search, batches, answers, answerers.listed, feedback, documents_handler, usage, pages, PagesHandler(store)
        )
        curation_pb2_grpc.add_CurationServiceServicer_to_server(
            CurationServicer(CurationsHandler(store), pages), server
        )
        usage_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(usage, pages), server)
        v2_grpc.add_QueryServiceServicer_to_server(queries, server)
        handler = OperationsHandler(store, token_seconds=self._settings.longest_token_seconds)
        asking_as = AskingAsHandler(store, search, self._directories)
        operations = OperationsServicer(
            handler, InspectionHandler(store), ConditionsHandler(store), search, feedback, hashes, asking_as, pages
        )
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
        administration = add_administration(server, store, self._settings, pages)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.show_reflection:
            public = (*_QUERY_SERVICES, _DOCUMENT_SERVICE, health.SERVICE_NAME)
            operators = (_ADMIN_SERVICE, _OPERATIONS_SERVICE, _USAGE_SERVICE, _CURATION_SERVICE, *administration)
            shown = GuardedReflection(self._authenticator.authenticate, public, operators)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(shown, server)
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
        server = self._new_server(
            build_index_chain(self._settings, self.metrics), self._settings.max_index_message_bytes
        )
        self._index_service = IndexServicer(self._dependencies.index, self.metrics)
        index_pb2_grpc.add_IndexServiceServicer_to_server(self._index_service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return bind(server, LOOPBACK, port, "RAG_INDEX_PORT")

    def _new_server(self, chain: Chain, max_message_bytes: int) -> grpc.aio.Server:
        server = new_server(self._settings, chain, max_message_bytes)
        self._servers.append(server)
        return server

    async def _publish_readiness(self, ready: bool) -> None:
        query = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in _QUERY_SERVICES:
            await self._health.set(name, query)
        for name in ("", _DOCUMENT_SERVICE, _ADMIN_SERVICE, _INDEX_SERVICE):
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
        threads = [poller.thread for poller in self._pollers.values()]
        return [self._pool, self._models.thread, self._authenticator.threads, self.usage.thread, *threads]

    async def _settle(self) -> None:
        pools = (*self._own_pools, self._dependencies.store.threads)
        await asyncio.gather(*(pool.settle(SETTLE_SECONDS) for pool in pools))

    async def _stop_servers(self, grace: float) -> None:
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    @property
    def has_revocations(self) -> bool:
        """True once revoked tokens, permissions, closed tenants and directories were read since the start."""
        ages = (self._revocations.age, self._tenants.age, self._directories.age)
        return self._pending_revocations.known and all(age.known for age in ages)

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
