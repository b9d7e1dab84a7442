"""What the query server sends to models' endpoints of questions and passages: only what the tenant's policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from rag_core.answering import open_answerer
from rag_core.database import Store, open_store
from rag_core.governance.tenants import store as tenants
from rag_core.retrieval.search import open_reranker
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.egress import Recorder
from tests.support.query_server import Doc, RunningServer, running, settings_of
from tests.support.waiting import eventually

DOCS = [
    Doc("Parental leave lasts 16 weeks.", locator="leave.md", source="wiki"),
    Doc("Parental leave of the board lasts 60 weeks.", locator="board.md", source="hr"),
    Doc("Parental leave of others lasts 1 week.", locator="x.md", source="wiki", tenant="other"),
]


@contextmanager
def serving(home: Path, recorder: Recorder, **changes: Any) -> Iterator[RunningServer]:
    wanted = recorder.settings().model_dump(
        include={"answerer", "answer_url", "answer_model", "reranker_url", "reranker_shape", "reranker_model"}
    ) | {"egress_inside": "", **changes}
    settings = settings_of(home, **wanted)
    parts = {"answerer": open_answerer(settings), "reranker": open_reranker(settings)}
    with running(home, docs=DOCS, dependencies=parts, **wanted) as server:
        yield server


SOURCE = text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', :name, 'push') ON CONFLICT DO NOTHING")


@pytest.fixture
def recorder(httpserver: HTTPServer) -> Recorder:
    return Recorder(httpserver)


@contextmanager
def rows(server: RunningServer) -> Iterator[Store]:
    store = open_store(Settings(database_url=server.database_url))
    try:
        yield store
    finally:
        store.close()


def allow(server: RunningServer, *uses: str, **sources: list[str]) -> None:
    with rows(server) as store, store.engine.begin() as connection:
        if "acme" not in {one.name for one in tenants.listed(connection)}:
            tenants.create(connection, "acme", actor="op")
        for name in sources:
            connection.execute(SOURCE, {"name": name})
        tenants.set_egress(connection, "acme", actor="op", egress=uses, sources=sources)
    policy = server.server.caches.tenants.policy
    assert eventually(lambda: {str(use) for use in policy("acme").allowed} == set(uses)
                      and set(policy("acme").sources) == set(sources))  # fmt: skip


def ask(server: RunningServer, **fields: Any) -> pb.AnswerFinal:
    request = pb.AnswerRequest(query="How long is parental leave?", **fields)
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    *_, last = stub.Answer(request, metadata=server.auth(), timeout=20)
    return last.final


def search(server: RunningServer, **claims: Any) -> pb.SearchResponse:
    request = pb.SearchRequest(query="How long is parental leave?", mode=pb.SEARCH_MODE_LEXICAL)
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    return stub.Search(request, metadata=server.auth(**claims), timeout=20)


def test_quotes_answer_instead_of_a_model_that_may_be_sent_nothing(tmp_path: Path, recorder: Recorder) -> None:
    with serving(tmp_path, recorder) as server:
        assert ask(server).answered_by.fallback_reason == ""
        assert "leave lasts" in recorder.said
        recorder.bodies.clear()
        allow(server)
        final = ask(server, messages=[pb.Message(role="user", text="Who has children?")])
        assert final.answered_by.fallback_reason == "EGRESS_FORBIDDEN"
        assert search(server).rerank_skipped == "EGRESS_FORBIDDEN"
        assert recorder.bodies == []
        assert search(server, tenant="other").rerank_skipped == ""
        assert "of others" in recorder.said


def test_passages_of_a_forbidden_source_are_not_sent_while_others_are(tmp_path: Path, recorder: Recorder) -> None:
    with serving(tmp_path, recorder) as server:
        allow(server, "answer", "rerank", "embed", hr=[])
        found = search(server)
        assert {one.source for one in found.passages} == {"hr", "wiki"}
        assert {one.source: one.HasField("rerank_score") for one in found.passages} == {"hr": False, "wiki": True}
        final = ask(server)
        assert final.answered_by.answerer == "openai"
        assert "16 weeks" in recorder.said
        assert "60 weeks" not in recorder.said
