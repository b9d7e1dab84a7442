"""TenantService: who is refused while a tenant is suspended, what an export brings, what an erasure closes."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import text

from query_server.auth.policies import SCOPES
from rag_core.database import Store, open_store
from rag_core.governance.access import NewKey, create_key
from rag_core.governance.audit import AuditQuery, find
from rag_core.governance.tenants import store as tenants
from rag_core.settings import Settings
from ragproto.admin.v1 import operations_pb2, operations_pb2_grpc
from ragproto.admin.v1 import tenants_pb2 as pb
from ragproto.admin.v1 import tenants_pb2_grpc as rpc
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.support.methods import public_methods
from tests.support.query_server import Doc, RunningServer, failing, failure, running
from tests.support.tenant_rows import TenantRows
from tests.support.waiting import eventually

PLATFORM = ["platform.admin"]
DOCS = [
    Doc("Parental leave lasts 16 weeks.", locator="leave.md"),
    Doc("No leave here.", locator="b.md", tenant="other"),
]


class Desk:
    """The service as an operator of the platform sees it, whose tenant is `platform`."""

    def __init__(self, server: RunningServer, store: Store) -> None:
        self.server, self.store = server, store
        self.stub = rpc.TenantServiceStub(server.channel)

    def do(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        metadata = self.server.auth(tenant="platform", scopes=PLATFORM, subject="op")
        answer = getattr(self.stub, method)(request, metadata=metadata, timeout=30)
        return list(answer) if method == "ExportTenant" else answer

    def refusal(self, method: str, **fields: Any) -> str:
        return failing(lambda: self.do(method, **fields)).reason

    def archive(self, name: str) -> dict[str, bytes]:
        content = b"".join(piece.content for piece in self.do("ExportTenant", name=name, reason="they leave"))
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            return {one: opened.read(one) for one in opened.namelist()}


@pytest.fixture
def desk(tmp_path: Path, settings: Settings, store: Store) -> Iterator[Desk]:
    with store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op")
    with running(tmp_path / "server", docs=DOCS, open_store=lambda: open_store(settings)) as server:
        yield Desk(server, store)


def search(server: RunningServer, metadata: Any) -> query_pb2.SearchResponse:
    request = query_pb2.SearchRequest(query="leave", mode=query_pb2.SEARCH_MODE_LEXICAL)
    return query_pb2_grpc.QueryServiceStub(server.channel).Search(request, metadata=metadata, timeout=30)


def push(server: RunningServer, metadata: Any) -> None:
    request = documents_pb2.PutRequest(locator="x.md", text="text", media_type="text/plain")
    documents_pb2_grpc.DocumentServiceStub(server.channel).Put(request, metadata=metadata, timeout=30)


def who_am_i(server: RunningServer, metadata: Any) -> None:
    stub = operations_pb2_grpc.OperationsServiceStub(server.channel)
    stub.WhoAmI(operations_pb2.WhoAmIRequest(), metadata=metadata, timeout=30)


def reason(call: Any) -> str:
    found = failure(call)
    return found.reason if found else ""


def test_tokens_keys_sessions_and_pushes_of_a_suspended_tenant_are_refused_and_work_again_afterwards(
    desk: Desk,
) -> None:
    server = desk.server
    with desk.store.engine.begin() as connection:
        wanted = NewKey("k", "acme", ["query.read", "documents.write", "ops.read"], [], 7)
        key = create_key(connection, wanted, actor="op").text
    token = server.auth(scopes=["query.read", "documents.write", "ops.read"])
    calls = [
        lambda who=who, call=call: call(server, who)
        for who in (token, (("x-api-key", key),))
        for call in (search, push, who_am_i)
    ]
    for call in calls:
        call()
    desk.do("SuspendTenant", name="acme", reason="unpaid")
    refused = "TENANT_SUSPENDED"
    assert eventually(lambda: {reason(call) for call in calls} == {refused})
    found = failing(calls[0])
    assert found.code is grpc.StatusCode.PERMISSION_DENIED
    assert "suspended" in found.message
    assert search(server, server.auth(tenant="other")).passages
    shown = desk.do("GetTenant", name="acme").tenant
    assert (shown.state, shown.reason, shown.changed_by) == (pb.TENANT_STATE_SUSPENDED, "unpaid", "platform/op")
    desk.do("ResumeTenant", name="acme")
    assert eventually(lambda: all(failure(call) is None for call in calls))
    with desk.store.engine.connect() as connection:
        actions = [
            (one.action, one.actor) for one in find(connection, AuditQuery(tenant="acme", action_start="tenant."))
        ]
    assert actions[:2] == [("tenant.resume", "platform/op"), ("tenant.suspend", "platform/op")]


def test_every_method_refuses_a_suspended_tenant(desk: Desk) -> None:
    server = desk.server
    with desk.store.engine.begin() as connection:
        tenants.suspend(connection, "acme", actor="op")
    assert eventually(lambda: reason(lambda: search(server, server.auth())) == "TENANT_SUSPENDED")

    def call(method: MethodDescriptor) -> None:
        request = GetMessageClass(method.input_type)()
        make = server.channel.unary_stream if method.server_streaming else server.channel.unary_unary
        answer = make(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request, metadata=server.auth(scopes=list(SCOPES)), timeout=60)
        _ = list(answer) if method.server_streaming else answer

    refusals = {method.full_name: reason(lambda method=method: call(method)) for method in public_methods()}  # type: ignore[misc]
    assert len(refusals) > 50
    assert {name: found for name, found in refusals.items() if found != "TENANT_SUSPENDED"} == {}


def test_a_push_is_refused_by_its_own_transaction_when_the_server_has_not_heard_yet(desk: Desk) -> None:
    desk.server.run(desk.server.server._background.stop())  # nothing is read from now on
    token = desk.server.auth(scopes=["documents.write"])
    push(desk.server, token)
    with desk.store.engine.begin() as connection:
        tenants.suspend(connection, "acme", actor="op")
    assert failing(lambda: push(desk.server, token)).reason == "TENANT_SUSPENDED"


def test_nobody_closes_the_door_behind_them_and_an_erasure_is_confirmed(desk: Desk) -> None:
    with desk.store.engine.begin() as connection:
        tenants.create(connection, "platform", actor="op")
    assert desk.refusal("SuspendTenant", name="platform") == "TENANT_STATE"
    assert desk.refusal("EraseTenant", name="platform", confirm_name="platform") == "TENANT_STATE"
    assert desk.refusal("EraseTenant", name="acme", confirm_name="acm") == "FIELD_INVALID"
    assert desk.refusal("GetTenant", name="nobody") == "TENANT_NOT_FOUND"
    assert desk.refusal("CreateTenant", name="acme") == "TENANT_EXISTS"
    assert desk.refusal("CreateTenant", name="../x") == "ID_CHARS"
    assert desk.refusal("SetEgressPolicy", name="acme", uses=[9]) == "FIELD_INVALID"
    assert desk.refusal("SetEgressPolicy", name="acme", uses=[1], inherit=True) == "FIELD_INVALID"


def test_a_token_of_an_erased_tenant_does_not_open_the_one_that_has_its_name_now(desk: Desk) -> None:
    scopes = ["query.read"]
    early = desk.server.auth(scopes=scopes, now=time.time() - 3600, lifetime=7200)
    with desk.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.tenants SET state = 'erased', erased_at = now()"))
        tenants.create(connection, "acme", actor="op")
    assert eventually(lambda: reason(lambda: search(desk.server, early)) == "TOKEN_REVOKED")
    assert search(desk.server, desk.server.auth(scopes=scopes)).passages


def test_tenants_are_listed_in_pages_with_the_policies_that_hold(desk: Desk) -> None:
    with desk.store.engine.begin() as connection:
        connection.execute(text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'hr', 'push')"))
    desk.do("CreateTenant", name="beta", own_egress=True, egress_uses=[pb.EGRESS_USE_EMBED])
    policy = [pb.SourceEgress(source="hr", uses=[pb.EGRESS_USE_EMBED])]
    desk.do("SetEgressPolicy", name="acme", uses=[pb.EGRESS_USE_ANSWER], sources=policy, reason="contract")
    first = desk.do("ListTenants", page_size=1)
    second = desk.do("ListTenants", page_size=1, page_token=first.next_page_token)
    assert [one.name for one in (*first.tenants, *second.tenants)] == ["acme", "beta"]
    assert not second.next_page_token
    acme, beta = first.tenants[0].egress, second.tenants[0].egress
    assert (list(acme.uses), acme.inherited) == ([pb.EGRESS_USE_ANSWER], False)
    assert [(one.source, list(one.uses), one.by_file) for one in acme.sources] == [("hr", [], False)]
    assert list(beta.uses) == [pb.EGRESS_USE_EMBED]
    desk.do("SetEgressPolicy", name="acme", inherit=True)
    again = desk.do("GetTenant", name="acme").tenant.egress
    assert (len(again.uses), again.inherited, len(again.sources)) == (3, True, 0)
    assert desk.refusal("ListTenants", page_token="nonsense") == "PAGE_TOKEN_INVALID"


def test_whether_questions_are_kept_in_words_is_a_switch_of_the_tenant_and_on_record(desk: Desk) -> None:
    def kept() -> tuple[bool, bool]:
        found = desk.do("GetTenant", name="acme").tenant
        return found.question_words, found.question_words_inherited

    assert kept() == (False, True), "as RAG_UNANSWERED_QUESTIONS says"
    desk.do("SetQuestionWords", name="acme", readable=True, reason="they agreed")
    assert kept() == (True, False)
    desk.do("SetQuestionWords", name="acme", readable=False)
    assert kept() == (False, False)
    desk.do("SetQuestionWords", name="acme")
    assert kept() == (False, True)
    with desk.store.engine.connect() as connection:
        entries = find(connection, AuditQuery(action="tenant.questions"))
    assert entries[-1].details == {"readable": True, "reason": "they agreed"}
    assert desk.refusal("SetQuestionWords", name="nobody", readable=True) == "TENANT_NOT_FOUND"


def test_an_export_brings_the_tenants_rows_and_is_on_record(desk: Desk) -> None:
    with desk.store.engine.begin() as connection:
        TenantRows("full").write(connection)
        TenantRows("other").write(connection)
    found = desk.archive("full")
    assert json.loads(found["manifest.json"])["tenant"] == "full"
    assert b"text of full" in found["documents/documents.jsonl"]
    assert not any(b"of other" in content for content in found.values())
    with desk.store.engine.connect() as connection:
        (entry,) = find(connection, AuditQuery(action="tenant.export"))
    assert (entry.tenant, entry.actor, entry.details) == ("full", "platform/op", {"reason": "they leave"})
    assert desk.refusal("ExportTenant", name="nobody") == "TENANT_NOT_FOUND"


def test_an_erasure_closes_the_tenant_at_once(desk: Desk) -> None:
    token = desk.server.auth()
    assert search(desk.server, token).passages
    erasing = desk.do("EraseTenant", name="acme", confirm_name="acme", reason="contract ended").tenant
    assert erasing.state == pb.TENANT_STATE_ERASING
    assert eventually(lambda: reason(lambda: search(desk.server, token)) == "TENANT_ERASED")
    assert desk.refusal("ResumeTenant", name="acme") == "TENANT_STATE"
