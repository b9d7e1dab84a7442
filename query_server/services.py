"""The services of the listener that the gateway reaches: each handler made of what it needs, and registered."""

from __future__ import annotations

from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection_pb2_grpc

from query_server.administration import add_administration
from query_server.auth.authenticator import Authenticator
from query_server.auth.policies import ConcurrencyClass
from query_server.auth.usage import UsageMeter
from query_server.caches import Caches
from query_server.handlers.admin.asking_as import AskingAsHandler
from query_server.handlers.admin.conditions import ConditionsHandler
from query_server.handlers.admin.curations import CurationsHandler
from query_server.handlers.admin.documents import InspectionHandler
from query_server.handlers.admin.generations import GenerationsHandler
from query_server.handlers.admin.handler import AdminHandler
from query_server.handlers.admin.operations import OperationsHandler
from query_server.handlers.directories import DirectoriesHandler
from query_server.handlers.documents.access import ExplainAccessHandler
from query_server.handlers.documents.handler import DocumentsHandler
from query_server.handlers.documents.pages import PagesHandler
from query_server.handlers.feedback import FeedbackHandler
from query_server.handlers.paging import ListPages, PageTokens
from query_server.handlers.query.answer import AnswerHandler
from query_server.handlers.query.answerers import Answerers
from query_server.handlers.query.batch import BatchHandler
from query_server.handlers.query.conversation import Conversations
from query_server.handlers.query.embedder import QueryEmbedder
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.ordering import Ordering
from query_server.handlers.query.resuming import ResumeTokens
from query_server.handlers.query.search import SearchHandler
from query_server.handlers.query.searcher import Searcher
from query_server.handlers.query.suggestions import Suggestions
from query_server.handlers.usage import UsageHandler
from query_server.interceptors.stack import Limiters
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import Dependencies
from query_server.runtime.metrics import Metrics
from query_server.runtime.traffic import Traffic
from query_server.servicers.admin import AdminServicer
from query_server.servicers.curations import CurationServicer
from query_server.servicers.directories import DirectoryServicer
from query_server.servicers.documents import DocumentServicer
from query_server.servicers.operations import OperationsServicer
from query_server.servicers.query_v1 import QueryV1Servicer
from query_server.servicers.query_v2 import QueryV2Servicer
from query_server.servicers.reflection import GuardedReflection
from query_server.servicers.usage import UsageServicer
from rag_core.governance.access import NameHash
from rag_core.settings import Settings
from ragproto.admin.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)
from ragproto.directories.v1 import directories_pb2, directories_pb2_grpc
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import curation_pb2, curation_pb2_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc

QUERY_SERVICES = (
    v1.DESCRIPTOR.services_by_name["QueryService"].full_name,
    v2.DESCRIPTOR.services_by_name["QueryService"].full_name,
)
DOCUMENT_SERVICE = documents_pb2.DESCRIPTOR.services_by_name["DocumentService"].full_name
ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_OF_OPERATORS = (
    ADMIN_SERVICE,
    operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name,
    usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name,
    curation_pb2.DESCRIPTOR.services_by_name["CurationService"].full_name,
    directories_pb2.DESCRIPTOR.services_by_name["DirectoryService"].full_name,
)


@dataclass(frozen=True, slots=True)
class HandlerInputs:
    """Parts that the handlers of one server share. `version` is the server's, `secrets` sign page and resume tokens."""

    settings: Settings
    dependencies: Dependencies
    metrics: Metrics
    caches: Caches
    models: QueryModels
    embedder: QueryEmbedder
    pool: BlockingPool
    ordering: Ordering
    traffic: Traffic
    usage: UsageMeter
    generations: GenerationsHandler
    version: str
    secrets: tuple[bytes, ...]
    hashes: NameHash


def add_services(
    server: grpc.aio.Server, inputs: HandlerInputs, searcher: Searcher, limiters: Limiters, authenticator: Authenticator
) -> None:
    """Register all but health, whose states are the server's own."""
    store, pages = inputs.dependencies.store, ListPages(*inputs.secrets)
    search, feedback = _search(inputs, searcher), _feedback(inputs)
    documents, usage = DocumentsHandler(inputs.settings, inputs.dependencies), UsageHandler(store, inputs.usage)
    _add_queries(server, inputs, search, limiters, feedback, documents, usage, pages)
    access = ExplainAccessHandler(store, searcher, inputs.caches.pending)
    documents_pb2_grpc.add_DocumentServiceServicer_to_server(DocumentServicer(documents, access, pages), server)
    directories = DirectoryServicer(DirectoriesHandler(store))
    directories_pb2_grpc.add_DirectoryServiceServicer_to_server(directories, server)
    curations = CurationServicer(CurationsHandler(store), pages)
    curation_pb2_grpc.add_CurationServiceServicer_to_server(curations, server)
    usage_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(usage, pages), server)
    _add_operators(server, inputs, search, feedback, pages)
    administration = add_administration(server, store, inputs.settings, pages)
    if inputs.settings.show_reflection:
        public = (*QUERY_SERVICES, DOCUMENT_SERVICE, health.SERVICE_NAME)
        shown = GuardedReflection(authenticator.authenticate, public, (*_OF_OPERATORS, *administration))
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(shown, server)


def _search(inputs: HandlerInputs, searcher: Searcher) -> SearchHandler:
    return SearchHandler(
        inputs.settings,
        searcher,
        inputs.models,
        ordering=inputs.ordering,
        tokens=PageTokens(*inputs.secrets),
        freshness=inputs.caches.freshness,
        traffic=inputs.traffic,
        policy=inputs.caches.tenants.policy,
        curations=inputs.caches.curations,
        freshness_of=inputs.caches.source_freshness.of,
        suggestions=Suggestions(inputs.dependencies.observer_store, inputs.settings.metadata_types),
    )


def _feedback(inputs: HandlerInputs) -> FeedbackHandler:
    settings = inputs.settings
    keep_answers = settings.feedback_answers == "plain"
    return FeedbackHandler(inputs.dependencies.store, per_hour=settings.feedback_per_hour, keep_answers=keep_answers)


def _add_queries(
    server: grpc.aio.Server,
    inputs: HandlerInputs,
    search: SearchHandler,
    limiters: Limiters,
    feedback: FeedbackHandler,
    documents: DocumentsHandler,
    usage: UsageHandler,
    pages: ListPages,
) -> None:
    settings, metrics = inputs.settings, inputs.metrics
    answerers = Answerers.of_settings(settings, inputs.dependencies.answerer, metrics)
    conversations, resumes = Conversations(settings, metrics), ResumeTokens(*inputs.secrets)
    answers = AnswerHandler(search, answerers, conversations, resumes, metrics, inputs.traffic, inputs.usage)
    batches = BatchHandler(search, limiters[ConcurrencyClass.SEARCH])
    images = PagesHandler(inputs.dependencies.store)
    queries = QueryV2Servicer(search, batches, answers, answerers.listed, feedback, documents, usage, pages, images)
    v1_grpc.add_QueryServiceServicer_to_server(QueryV1Servicer(answers), server)
    v2_grpc.add_QueryServiceServicer_to_server(queries, server)


def _add_operators(
    server: grpc.aio.Server, inputs: HandlerInputs, search: SearchHandler, feedback: FeedbackHandler, pages: ListPages
) -> None:
    settings, store = inputs.settings, inputs.dependencies.store
    admin = AdminHandler(inputs.dependencies, inputs.embedder, inputs.pool, inputs.version)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(admin, inputs.generations), server)
    operations = OperationsServicer(
        OperationsHandler(store, token_seconds=settings.longest_token_seconds),
        InspectionHandler(store),
        ConditionsHandler(store),
        search,
        feedback,
        inputs.hashes,
        AskingAsHandler(store, search, inputs.caches.directories),
        pages,
    )
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
