"""Who is let into what: every RPC against every scope, and what a tenant's admin cannot reach of the platform."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from query_server.auth.policies import SCOPES
from rag_core.database import Store, open_store
from rag_core.database.tables.content import run_stages, sources
from rag_core.database.tables.operations import audit
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.settings import Settings
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from tests.integration.query_server.test_operations import Ops, fill
from tests.support.methods import public_methods
from tests.support.query_server import RunningServer, failure, running

PLATFORM = {"platform.read", "platform.admin"}
OPERATORS = {"ops.read", "ops.write", "admin"}
# Written down by hand: a new RPC fails here until somebody has decided who may call it.
OPENED_BY: dict[str, set[str]] = {
    "ragproto.query.v1.QueryService": {"query.read"},
    "ragproto.query.v2.QueryService": {"query.read"},
    "ragproto.query.v2.CurationService": {"ops.write", "admin"},
    "ragproto.query.v2.CurationService.ListCurations": OPERATORS,
    "ragproto.documents.v1.DocumentService.Put": {"documents.write"},
    "ragproto.documents.v1.DocumentService.Delete": {"documents.write"},
    "ragproto.documents.v1.DocumentService.ReceiveObjectEvents": {"documents.write"},
    "ragproto.documents.v1.DocumentService.Get": {"documents.read"},
    "ragproto.documents.v1.DocumentService.List": {"documents.read"},
    "ragproto.documents.v1.DocumentService.ExplainAccess": {"access.write", "admin", "platform.admin"},
    "ragproto.directories.v1.DirectoryService": {"directories.write"},
    "ragproto.admin.v1.AccessService": {"access.write", "admin", "platform.admin"},
    "ragproto.admin.v1.AdminService": {"platform.admin"},
    "ragproto.admin.v1.AdminService.GetStatus": OPERATORS,
    "ragproto.admin.v1.DeploymentService": {"platform.admin"},
    "ragproto.admin.v1.DeploymentService.ListColours": PLATFORM,
    "ragproto.admin.v1.DeploymentService.ListDeployments": PLATFORM,
    "ragproto.admin.v1.DeploymentService.GetDeployment": PLATFORM,
    "ragproto.admin.v1.EvaluationService": OPERATORS,
    **{
        f"ragproto.admin.v1.EvaluationService.{name}": {"ops.write", "admin"}
        for name in ("AcceptEvaluationRun", "ProposeQuestions", "SaveQuestion", "DecideQuestion")
    },
    "ragproto.admin.v1.HistoryService": OPERATORS,
    "ragproto.admin.v1.UsageService.ListUsage": OPERATORS,
    "ragproto.admin.v1.UsageService.SetBudget": {"platform.admin"},
    "ragproto.admin.v1.SourceService": {"sources.write", "admin", "platform.admin"},
    "ragproto.admin.v1.WebhookService": {"sources.write", "admin", "platform.admin"},
    "ragproto.admin.v1.TenantService": {"platform.admin"},
    "ragproto.admin.v1.TenantService.ListTenants": PLATFORM,
    "ragproto.admin.v1.TenantService.GetTenant": PLATFORM,
    "ragproto.admin.v1.OperationsService": OPERATORS,
    "ragproto.admin.v1.OperationsService.RateAnswer": {"query.read"},
    "ragproto.admin.v1.OperationsService.SearchAs": {"platform.admin"},
    **{
        f"ragproto.admin.v1.OperationsService.{name}": {"ops.write", "admin"}
        for name in (
            *("ReleaseDeletions", "RedriveQuarantine", "DiscardQuarantine", "ListAudit", "RecordAction"),
            "ReindexDocument",
        )
    },
}
TENANT_ADMIN = ["query.read", "documents.read", "documents.write", "admin"]


def opened_by(method: MethodDescriptor) -> set[str]:
    service: str = method.containing_service.full_name
    return OPENED_BY.get(f"{service}.{method.name}") or OPENED_BY[service]


def refused_for_its_scope(server: RunningServer, method: MethodDescriptor, scopes: list[str]) -> bool:
    make = server.channel.unary_stream if method.server_streaming else server.channel.unary_unary
    request = GetMessageClass(method.input_type)()
    call = make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    # A subject of its own: `SignOut` revokes all tokens that its caller got before.
    metadata = server.auth(scopes=scopes, subject=f"{method.name} {' '.join(scopes)}")

    def run() -> None:
        answer = call(request, metadata=metadata, timeout=60)
        _ = list(answer) if method.server_streaming else answer

    found = failure(run)
    undecided = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAUTHENTICATED)
    assert found is None or found.code not in undecided, found
    refused = found is not None and found.reason == "SCOPE_MISSING"
    assert not refused or found.code is grpc.StatusCode.PERMISSION_DENIED  # type: ignore[union-attr]
    return refused


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server without a database: what passes the check of scopes fails later, and for another reason."""
    with running(tmp_path_factory.mktemp("bare")) as server:
        yield server


@pytest.mark.catalogue("S05")
@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name)
def test_every_rpc_is_opened_by_its_scopes_and_by_no_other(bare: RunningServer, method: MethodDescriptor) -> None:
    expected = opened_by(method)
    assert {scope for scope in SCOPES if not refused_for_its_scope(bare, method, [scope])} == expected
    others = sorted(set(SCOPES) - expected)
    for scopes in (others, [], ["query.readx", "*"], *map(list, itertools.combinations(others, 2))):
        assert refused_for_its_scope(bare, method, scopes), scopes


def test_all_scopes_of_a_tenant_together_open_nothing_of_the_platform(bare: RunningServer) -> None:
    tenants = sorted(set(SCOPES) - PLATFORM)
    closed = {method.full_name for method in public_methods() if refused_for_its_scope(bare, method, tenants)}
    assert closed == {method.full_name for method in public_methods() if opened_by(method) <= PLATFORM}
    assert {"ragproto.admin.v1.AdminService.PromoteGeneration", "ragproto.admin.v1.AdminService.RollbackGeneration",
            "ragproto.admin.v1.DeploymentService.RequestRollback"} <= closed  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, database_url: str) -> Iterator[Store]:
    opened = open_store(Settings(home=tmp_path, database_url=database_url))
    fill(opened)
    with opened.engine.begin() as db:
        db.execute(sources.insert(), [
            {"tenant": "other", "name": "wiki-pages", "kind": "site", "shards": 1},
            {"tenant": "acme", "name": "wiki-pages", "kind": "push", "shards": 1},
        ])  # fmt: skip
        db.execute(run_stages.insert(), [{
            "run_id": "run-9", "tenant": "other", "source": "wiki-pages", "shard": 0, "stage": "documents",
            "counts": {}, "complete": True,
        }])  # fmt: skip
        db.execute(audit.insert(), [
            {"tenant": None, "actor": "other/eve", "action": "index.promote", "target": "g0",
             "details": {"reason": "eve's reason"}},
            {"actor": "eve", "action": "key.create", "target": "k", "tenant": "other", "details": {}},
        ])  # fmt: skip
    yield opened
    opened.close()


@pytest.fixture
def server(tmp_path: Path, store: Store, database_url: str) -> Iterator[RunningServer]:
    with running(tmp_path / "home", open_store=lambda: open_store(Settings(home=tmp_path, database_url=database_url)),
                 ) as started:  # fmt: skip
        yield started


@pytest.mark.parametrize("method", ["ListSources", "ListRuns", "ListAudit"])
def test_another_tenants_records_are_for_the_platform_to_read(server: RunningServer, method: str) -> None:
    admin, platform = Ops(server, scopes=TENANT_ADMIN), Ops(server, scopes=[*TENANT_ADMIN, "platform.read"])
    for tenant in ("other", "no-such-tenant"):
        assert admin.refused(method, tenant=tenant) == "SCOPE_MISSING"
    assert getattr(admin, method)(tenant="acme") == getattr(admin, method)()
    assert "wiki-pages" not in str(admin.ListRuns()) + str(admin.ListAudit())
    assert {"ListSources": "wiki-pages", "ListRuns": "run-9", "ListAudit": "key.create"}[method] in str(
        getattr(platform, method)(tenant="other")
    )


def test_a_run_of_another_tenant_is_not_acted_on(server: RunningServer, store: Store) -> None:
    operator, platform = Ops(server, scopes=TENANT_ADMIN), Ops(server, scopes=["ops.write", "platform.admin"])
    refused: list[dict[str, str]] = [
        {"action": "dagster.launch", "target": "wiki_pages_sync", "source": "wiki-pages"},
        {"action": "dagster.terminate", "target": "run-9", "source": "wiki_pages"},
        {"action": "dagster.terminate", "target": "run-9", "source": "handbook"},
        {"action": "dagster.retry", "target": "run-9"},
        {"action": "dagster.pause", "target": "retention"},
        {"action": "dagster.launch", "target": "x", "source": "no-such-source"},
    ]
    for fields in refused:
        assert operator.refused("RecordAction", **fields) == "SCOPE_MISSING", fields
        assert platform.RecordAction(**fields).id > 0
    assert operator.RecordAction(action="dagster.launch", target="handbook_sync", source="handbook").id > 0
    with store.engine.begin() as db:  # the source changed hands
        later = datetime.now(UTC) + timedelta(minutes=1)
        db.execute(sources.update().where(sources.c.tenant == "other", sources.c.name == "handbook")
                   .values(updated_at=later))  # fmt: skip
    assert operator.refused("RecordAction", action="dagster.launch", target="t", source="handbook") == "SCOPE_MISSING"


def test_generations_tell_a_tenant_nothing_of_who_acted_and_of_other_documents(server: RunningServer) -> None:
    stub = admin_pb2_grpc.AdminServiceStub(server.channel)

    def status(*scopes: str) -> admin_pb2.GetStatusResponse:
        metadata = server.auth(tenant="other", scopes=scopes)
        found: admin_pb2.GetStatusResponse = stub.GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata, timeout=20)
        return found

    (shown,) = (item for item in status("admin").generations if item.name == "g0")
    assert not shown.events
    whole = status("ops.read", "platform.read")
    assert "eve" in str(whole)
    assert "eve" not in str(status("admin"))


def test_a_group_of_the_identity_provider_is_given_a_platform_scope_by_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, jwt_platform_groups="ops team=platform.admin, auditors=platform.read")
    with running(tmp_path / "home") as server:
        rules = TokenRules("rag-platform", "rag-query", 86_400, 60, settings.platform_groups)
        verify = TokenVerifier(server.keys.path, rules).verify
        assert verify(server.keys.token(groups=["ops team"])).scopes == {"query.read", "platform.admin"}
        assert verify(server.keys.token(groups=["auditors", "x"])).scopes == {"query.read", "platform.read"}
        for groups in (["ops", "team"], ["platform.admin"], []):
            assert verify(server.keys.token(groups=groups)).scopes == {"query.read"}
