"""Usage and budgets over the wire: what counts, who is refused and until when, who may see and set what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from rag_core.database import Store, open_store
from rag_core.governance.access import NewKey, create_key
from rag_core.governance.audit import audit_store
from rag_core.settings import Settings
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.admin.v1 import operations_pb2_grpc as ops_rpc
from ragproto.admin.v1 import usage_pb2 as admin
from ragproto.admin.v1 import usage_pb2_grpc as admin_rpc
from ragproto.documents.v1 import documents_pb2 as docs
from ragproto.documents.v1 import documents_pb2_grpc as docs_rpc
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc as rpc
from tests.integration.query_server.test_conversations import DOCS, writing
from tests.support.chat_server import scripted_server
from tests.support.query_server import GENERATION, RunningServer, failing, failure, running
from tests.support.waiting import eventually

PLATFORM = {"subject": "op", "scopes": ["platform.admin"], "tenant": "ops"}


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[RunningServer]:
    with running(tmp_path / "server", docs=DOCS, open_store=lambda: open_store(settings)) as started:
        yield started


def search(server: RunningServer, auth: Any = None, **claims: Any) -> pb.SearchResponse:
    stub = rpc.QueryServiceStub(server.channel)
    return stub.Search(pb.SearchRequest(query="leave"), metadata=auth or server.auth(**claims), timeout=20)


def set_budget(server: RunningServer, tenant: str = "acme", caller: Any = PLATFORM, **limits: Any) -> admin.BudgetRow:
    stub = admin_rpc.UsageServiceStub(server.channel)
    request = admin.SetBudgetRequest(tenant=tenant, **limits)
    before = stub.SetBudget(request, metadata=server.auth(**caller), timeout=20).before
    exchange(server)
    return before


def exchange(server: RunningServer) -> None:
    """What happens every second."""
    server.run(server.server.usage.exchange())


def own(server: RunningServer, auth: Any = None, **claims: Any) -> pb.GetUsageResponse:
    stub = rpc.QueryServiceStub(server.channel)
    return stub.GetUsage(pb.GetUsageRequest(), metadata=auth or server.auth(**claims), timeout=20)


def outcomes(call: Callable[[], object], times: int) -> list[str]:
    return [found.reason if (found := failure(call)) else "" for _ in range(times)]


def make_key(store: Store, tenant: str = "acme") -> tuple[str, Any]:
    scopes = ["query.read", "documents.write"]
    with store.engine.begin() as connection:
        key = create_key(connection, NewKey("robot", tenant, scopes, [], 1), actor="t/test", why="")
    return key.key_id, (("x-api-key", key.text),)


def test_a_budget_of_calls_refuses_with_when_it_renews_and_says_so_in_details_and_headers(
    server: RunningServer,
) -> None:
    set_budget(server, calls_per_day=3)
    assert outcomes(lambda: search(server), 5) == ["", "", "", "QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]
    with pytest.raises(grpc.RpcError) as caught:
        search(server)
    found = failing(lambda: search(server))
    assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    midnight = datetime.now(UTC).date()
    assert f"{midnight.year + (midnight.month == 12 and midnight.day == 31)}" in found.message
    assert "budget of 3 calls a day is used up; it renews at 20" in found.message
    assert found.trailers["grpc-retry-pushback-ms"] == "-1"  # a client's own retries must not wait for midnight
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    details = rpc_status.from_call(caught.value).details
    assert details[0].Unpack(info)
    assert any(detail.Unpack(retry) for detail in details)
    assert dict(info.metadata) | {"renews_at": ""} == {
        "budget": "calls", "limit": "3", "used": "3", "scope": "tenant", "renews_at": ""
    }  # fmt: skip
    assert 0 < retry.retry_delay.seconds <= 86_400
    assert abs(int(found.trailers["retry-after"]) - retry.retry_delay.seconds) <= 2
    # Another tenant is not touched, and what no budget counts is answered.
    search(server, tenant="beta")
    usage = own(server)
    assert (usage.days[0].calls, usage.days[0].refused_calls, usage.budget.calls_per_day) == (3, 4, 3)
    assert usage.renews_at.ToDatetime().hour == 0


def test_each_search_of_a_batch_counts_and_refused_or_failed_calls_do_not(server: RunningServer) -> None:
    stub = rpc.QueryServiceStub(server.channel)
    batch = pb.BatchSearchRequest(searches=[pb.SearchRequest(query="leave")] * 3)
    stub.BatchSearch(batch, metadata=server.auth(), timeout=20)
    assert outcomes(lambda: search(server, scopes=["documents.read"]), 2) == ["SCOPE_MISSING"] * 2
    bad = pb.SearchRequest(query="")
    assert failing(lambda: stub.Search(bad, metadata=server.auth(), timeout=20)).reason == "QUERY_EMPTY"
    stub.ListSources(pb.ListSourcesRequest(), metadata=server.auth(), timeout=20)
    assert own(server).days[0].calls == 4  # the batch's three, and the one that its caller got wrong
    within = ops.SearchGenerationRequest(generation=GENERATION, search=pb.SearchRequest(query="leave"))
    ops_rpc.OperationsServiceStub(server.channel).SearchGeneration(
        within, metadata=server.auth(scopes=["ops.read"]), timeout=20
    )
    assert own(server).days[0].calls == 5


def test_a_key_has_its_own_budget_and_its_own_usage(server: RunningServer, store: Store) -> None:
    key_id, auth = make_key(store)
    _, other = make_key(store)
    set_budget(server, key_id=key_id, calls_per_day=2)
    assert outcomes(lambda: search(server, auth), 3) == ["", "", "QUOTA_EXCEEDED"]
    assert outcomes(lambda: search(server, other), 3) == ["", "", ""]
    assert failing(lambda: search(server, auth)).message.startswith("this API key's budget")
    usage = own(server, auth)
    assert usage.key_id == key_id
    assert (usage.key_days[0].calls, usage.key_budget.calls_per_day, usage.days[0].calls) == (2, 2, 5)
    assert not own(server).key_days
    found = failing(lambda: set_budget(server, tenant="beta", key_id=key_id, calls_per_day=2))
    assert found.reason == "API_KEY_NOT_FOUND"
    assert failing(lambda: set_budget(server, key_id=key_id, documents=2)).reason == "FIELD_INVALID"
    assert failing(lambda: set_budget(server, calls_per_day=-1)).reason == "FIELD_INVALID"


def test_platform_sets_budgets_a_tenants_operator_reads_its_own_and_both_are_audited(
    server: RunningServer, store: Store
) -> None:
    for scopes in (["admin"], ["platform.read"], ["query.read"]):
        caller = {"scopes": scopes}
        assert failing(lambda who=caller: set_budget(server, caller=who, calls_per_day=1)).reason == "SCOPE_MISSING"
    set_budget(server, calls_per_day=9, documents=5, reason="pilot")
    set_budget(server, tenant="beta", model_tokens_per_day=7)
    before = set_budget(server, calls_per_day=10)
    assert (before.calls_per_day, before.documents) == (9, 5)
    search(server)
    exchange(server)
    stub = admin_rpc.UsageServiceStub(server.channel)

    def listed(**fields: Any) -> admin.ListUsageResponse:
        claims = fields.pop("claims", {"scopes": ["ops.read"]})
        return stub.ListUsage(admin.ListUsageRequest(**fields), metadata=server.auth(**claims), timeout=20)

    mine = listed()
    assert [(one.tenant, one.calls_per_day, one.calls_used) for one in mine.budgets] == [("acme", 10, 1)]
    assert not mine.budgets[0].HasField("documents")
    assert [(row.tenant, row.key_id, row.calls) for row in mine.rows] == [("acme", "", 1)]
    assert failing(lambda: listed(all_tenants=True)).reason == "SCOPE_MISSING"
    assert failing(lambda: listed(tenant="beta")).reason in {"SCOPE_MISSING", "TENANT_MISMATCH"}
    everyone = listed(all_tenants=True, claims={"scopes": ["ops.read", "platform.read"]})
    assert [one.tenant for one in everyone.budgets] == ["acme", "beta"]
    with store.engine.connect() as connection:
        entries = audit_store.find(connection, audit_store.AuditQuery(action="budget.set", tenant="acme"))
    assert [entry.actor for entry in entries] == ["ops/op"] * 2
    assert entries[1].details == {
        "before": {}, "after": {"calls_per_day": 9, "documents": 5}, "reason": "pilot"
    }  # fmt: skip
    assert not set_budget(server).HasField("documents")  # without limits: removed
    assert not listed().budgets


def test_a_budget_of_documents_refuses_new_ones_and_takes_new_versions(server: RunningServer) -> None:
    stub = docs_rpc.DocumentServiceStub(server.channel)
    writer = server.auth(scopes=["documents.write"])

    def put(locator: str, text: str = "Pumps need oil.") -> None:
        request = docs.PutRequest(locator=locator, text=text, acl=docs.Acl(entries=["everyone"]))
        stub.Put(request, metadata=writer, timeout=20)

    set_budget(server, documents=2)
    put("a.txt")
    put("b.txt")
    found = failing(lambda: put("c.txt"))
    assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert "budget of 2 stored documents is used up; delete documents" in found.message
    assert "retry-after" not in found.trailers
    today = own(server).days[0]
    assert (today.calls, today.refused_calls) == (2, 1)
    put("a.txt", "Pumps need new oil.")
    set_budget(server, documents=3)
    put("c.txt")


def ask(server: RunningServer, **fields: Any) -> list[pb.AnswerEvent]:
    stub = rpc.QueryServiceStub(server.channel)
    request = pb.AnswerRequest(query="How long is parental leave?", **fields)
    return list(stub.Answer(request, metadata=server.auth(), timeout=20))


def test_past_the_token_budget_quotes_come_and_say_why_unless_the_caller_wants_none(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        set_budget(server, model_tokens_per_day=100)
        first = ask(server)[-1].final
        assert first.answered_by.answerer == "openai"
        assert first.usage.prompt_tokens + first.usage.completion_tokens > 0
        assert own(server).days[0].prompt_tokens == first.usage.prompt_tokens
        set_budget(server, model_tokens_per_day=1)
        second = ask(server)[-1].final
        assert (second.answered_by.answerer, second.answered_by.fallback_reason) == ("extractive", "QUOTA_EXCEEDED")
        found = failing(lambda: ask(server, no_fallback=True))
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
        assert "model tokens a day is used up; it renews at" in found.message
        assert ask(server, answerer="extractive")[-1].final.answered_by.fallback_reason == ""


def test_an_answer_that_its_caller_cuts_short_is_not_free(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        stub = rpc.QueryServiceStub(server.channel)
        request = pb.AnswerRequest(query="How long is parental leave?")
        stream = stub.Answer(request, metadata=server.auth(), timeout=20)
        assert next(iter(stream)).HasField("delta")
        stream.cancel()
        assert eventually(lambda: bool(own(server).days) and own(server).days[0].prompt_tokens > 0)


def test_two_servers_share_a_budget_by_their_rows(tmp_path: Path, settings: Settings) -> None:
    def make(name: str) -> Any:
        return running(tmp_path / name, docs=DOCS, open_store=lambda: open_store(settings), usage_seconds=60)

    with make("one") as one, make("two") as two:
        set_budget(one, calls_per_day=5)
        assert outcomes(lambda: search(one), 3) == [""] * 3
        exchange(one)
        exchange(two)
        assert outcomes(lambda: search(two), 3) == ["", "", "QUOTA_EXCEEDED"]
        exchange(two)
        exchange(one)
        assert outcomes(lambda: search(one), 1) == ["QUOTA_EXCEEDED"]
        assert own(one).days[0].calls == 5
    # What a server counted is written when it ends, and counts for those that come.
    with make("three") as three:
        exchange(three)
        assert own(three).days[0].calls == 5
        assert outcomes(lambda: search(three), 1) == ["QUOTA_EXCEEDED"]
