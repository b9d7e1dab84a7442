"""The services of operators and admins that need the database alone."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.handlers.admin.access import AccessHandler
from query_server.handlers.admin.deployments import DeploymentsHandler
from query_server.handlers.admin.evaluation import EvaluationHandler
from query_server.handlers.admin.history import HistoryHandler
from query_server.handlers.admin.source_secrets import SourceSecretsHandler
from query_server.handlers.admin.sources import SourcesHandler
from query_server.handlers.admin.tenants import TenantsHandler
from query_server.handlers.admin.webhooks import WebhooksHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.dependencies import LazyStore
from query_server.servicers.access import AccessServicer
from query_server.servicers.deployments import DeploymentServicer
from query_server.servicers.evaluation import EvaluationServicer
from query_server.servicers.history import HistoryServicer
from query_server.servicers.sources import SourceServicer
from query_server.servicers.tenants import TenantServicer
from query_server.servicers.webhooks import WebhookServicer
from rag_core.settings import Settings
from ragproto.admin.v1 import (
    access_pb2,
    access_pb2_grpc,
    deployments_pb2,
    deployments_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    sources_pb2,
    sources_pb2_grpc,
    tenants_pb2,
    tenants_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)


def add_administration(
    server: grpc.aio.Server, store: LazyStore, settings: Settings, pages: ListPages
) -> tuple[str, ...]:
    """Register them; returns their full names."""
    granting = AccessHandler(
        store, token_seconds=settings.longest_token_seconds, platform_groups=settings.platform_groups
    )
    sources = SourcesHandler(store, settings.source_allowances)
    secrets = SourceSecretsHandler(store, sources, can_store=settings.home_shared)
    services: tuple[tuple[Any, Any, Any], ...] = (
        (access_pb2, access_pb2_grpc.add_AccessServiceServicer_to_server, AccessServicer(granting, pages)),
        (
            deployments_pb2,
            deployments_pb2_grpc.add_DeploymentServiceServicer_to_server,
            DeploymentServicer(DeploymentsHandler(store), pages),
        ),
        (
            evaluation_pb2,
            evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server,
            EvaluationServicer(EvaluationHandler(store), pages),
        ),
        (
            history_pb2,
            history_pb2_grpc.add_HistoryServiceServicer_to_server,
            HistoryServicer(HistoryHandler(store), settings, pages),
        ),
        (
            sources_pb2,
            sources_pb2_grpc.add_SourceServiceServicer_to_server,
            SourceServicer(sources, secrets, settings, pages),
        ),
        (
            tenants_pb2,
            tenants_pb2_grpc.add_TenantServiceServicer_to_server,
            TenantServicer(TenantsHandler(store, settings), pages),
        ),
        (
            webhooks_pb2,
            webhooks_pb2_grpc.add_WebhookServiceServicer_to_server,
            WebhookServicer(WebhooksHandler(store, settings), pages),
        ),
    )
    for _, add, servicer in services:
        add(servicer, server)
    return tuple(service.full_name for file, *_ in services for service in file.DESCRIPTOR.services_by_name.values())
