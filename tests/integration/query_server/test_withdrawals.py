"""A lost permission and a deletion count from their commit, whatever becomes of the run that made them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from sqlalchemy import text

from rag_core.content.sources import Scope
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import open_store
from rag_core.retrieval.index import VectorIndex
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.pipeline import PipelineHarness
from tests.support.query_server import RunningServer, failing, running
from tests.support.waiting import eventually

SALARY, BELL, PAINT = (
    "The salary of the captain is nine gold coins.",
    "The bell rings at nine.",
    "Paint the hull at nine.",
)
HR = ["hr"]


@pytest.fixture
def flow_behind(flow: PipelineHarness) -> PipelineHarness:
    """Three documents that everyone may see, in the index."""
    for locator, content in (("salary.txt", SALARY), ("bell.txt", BELL), ("paint.txt", PAINT)):
        flow.connector.put(locator, content, acl=("everyone", "group:hr"))
    flow.run()
    return flow


@pytest.fixture
def server(flow_behind: PipelineHarness, tmp_path: Path) -> Iterator[RunningServer]:
    def shared(own: VectorIndex) -> VectorIndex:
        own.close()
        return flow_behind.index

    settings = flow_behind.settings
    with running(tmp_path / "server", wrap=shared, open_store=lambda: open_store(settings)) as started:
        yield started


def commit_and_die(flow: PipelineHarness) -> None:
    """What a run leaves that ends right after its transaction, before the index has anything of it."""
    flow.connector.put("salary.txt", SALARY, acl=("group:hr",))
    del flow.connector.items["bell.txt"]
    flow.store_documents(Scope(flow.source, "dies"), index_away=True)
    assert {point.payload.locator for point in flow.points()} == {"salary.txt", "bell.txt", "paint.txt"}
    assert all("everyone" in point.payload.acl for point in flow.points())


def withheld(server: RunningServer) -> float:
    return server.server.metrics.registry.get_sample_value("rag_server_withheld") or 0


def found(server: RunningServer, *, groups: list[str] | None = None, mode: int = v2.SEARCH_MODE_HYBRID) -> set[str]:
    stub = v2_grpc.QueryServiceStub(server.channel)
    request = v2.SearchRequest(query="nine", mode=mode)
    response = stub.Search(request, metadata=server.auth(groups=groups or []), timeout=20)
    return {passage.locator for passage in response.passages}


def test_what_is_lost_is_gone_on_every_leg_before_the_index_is_reported(
    flow_behind: PipelineHarness, server: RunningServer
) -> None:
    assert found(server) == {"salary.txt", "bell.txt", "paint.txt"}
    commit_and_die(flow_behind)
    assert eventually(lambda: withheld(server) == 2)
    for mode in (v2.SEARCH_MODE_HYBRID, v2.SEARCH_MODE_DENSE, v2.SEARCH_MODE_LEXICAL):
        assert found(server, mode=mode) == {"paint.txt"}
        assert found(server, groups=HR, mode=mode) == {"salary.txt", "paint.txt"}
    flow_behind.run()
    assert eventually(lambda: withheld(server) == 0)
    assert found(server) == {"paint.txt"}
    assert found(server, groups=HR) == {"salary.txt", "paint.txt"}


@pytest.mark.catalogue("S13")
def test_what_is_lost_is_in_no_answer_of_any_call(flow_behind: PipelineHarness, server: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(server.channel)
    call = {"metadata": server.auth(scopes=["query.read", "documents.read"]), "timeout": 20}
    first = stub.Search(v2.SearchRequest(query="nine", top_k=1), **call)
    commit_and_die(flow_behind)
    assert eventually(lambda: withheld(server) == 2)
    searches = [v2.SearchRequest(query="salary of the captain"), v2.SearchRequest(query="when does the bell ring")]
    seen: list[Message] = [stub.BatchSearch(v2.BatchSearchRequest(searches=searches), **call)]
    for search in searches:
        seen += stub.Answer(v2.AnswerRequest(query=search.query), **call)
        seen.append(v1_grpc.QueryServiceStub(server.channel).Query(v1.QueryRequest(query=search.query), **call))
    seen.append(stub.Search(v2.SearchRequest(query="nine", page_token=first.next_page_token), **call))
    everything = "".join(map(str, seen))
    assert "Paint the hull" in everything
    assert not any(secret in everything for secret in ("gold", "rings"))
    documents = documents_pb2_grpc.DocumentServiceStub(server.channel)
    for locator in ("salary.txt", "bell.txt"):
        request = documents_pb2.GetRequest(doc_id=str(flow_behind.doc_id(locator)))
        assert failing(lambda: documents.Get(request, **call)).reason == "DOCUMENT_NOT_FOUND"  # noqa: B023


def test_a_pushed_deletion_counts_from_its_acceptance_whether_or_not_a_worker_runs(
    flow_behind: PipelineHarness, server: RunningServer
) -> None:
    source = flow_behind.source
    change = PushedChange(source.tenant, source.name, "bell.txt", "ann")
    with flow_behind.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.sources SET kind = 'push'"))
        receipt = inbox.accept(connection, change, max_pending=10)
    assert eventually(lambda: withheld(server) == 1)
    assert found(server) == {"salary.txt", "paint.txt"}
    with flow_behind.store.engine.begin() as connection:
        inbox.mark_applied(connection, {receipt.sequence: "stale"})
    assert eventually(lambda: withheld(server) == 0)
    assert found(server) == {"salary.txt", "bell.txt", "paint.txt"}
