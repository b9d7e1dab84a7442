"""What a client gets from the query services."""

from __future__ import annotations

import hashlib
import re

from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.admin.v1 import operations_pb2_grpc as ops_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import RunningServer, failing
from tests.support.waiting import eventually


def test_search_finds_the_passage_and_names_the_generation(server: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(server.channel)
    response = stub.Search(v2.SearchRequest(query="how many vacation days"), metadata=server.auth())
    assert response.generation == "g1"
    assert response.passages[0].locator == "leave.md"
    assert "25 days" in response.passages[0].text


def test_answer_streams_deltas_and_exactly_one_final(server: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(server.channel)
    request = v2.AnswerRequest(query="How many days of paid leave does the vacation policy grant a year?")
    events = list(stub.Answer(request, metadata=server.auth()))
    assert [event.WhichOneof("event") for event in events[:-1]] == ["delta"] * (len(events) - 1)
    assert events[-1].final.WhichOneof("outcome") == "answered"
    text = "".join(event.delta.text for event in events[:-1])
    citation = events[-1].final.answered.citations[0]
    shown = "The vacation policy grants 25 days of paid leave a year. Unused days expire in March."
    assert text.startswith(f"{shown} [1]")
    assert citation.quote == shown


def test_v1_answers_with_markers_that_number_its_sources(server: RunningServer) -> None:
    stub = v1_grpc.QueryServiceStub(server.channel)
    request = v1.QueryRequest(query="How long does parental leave last?", top_k=3)
    response, call = stub.Query.with_call(request, metadata=server.auth())
    place = next(n for n, source in enumerate(response.sources, 1) if "Parental" in source.text)
    assert f"Parental leave lasts 16 weeks. It is paid in full. [{place}]" in response.answer
    assert dict(call.initial_metadata())["deprecation"].startswith("@")


def test_an_answer_from_one_passage_is_the_same_as_from_many(server: RunningServer) -> None:
    stub = v1_grpc.QueryServiceStub(server.channel)
    one, many = (
        stub.Query(v1.QueryRequest(query="Is parental leave paid in full?", top_k=k), metadata=server.auth())
        for k in (1, 10)
    )
    assert one.answer == many.answer
    assert "Parental leave lasts 16 weeks. It is paid in full. [1]" in one.answer
    assert len(one.sources) == len(set(re.findall(r"\[\d+\]", one.answer)))  # what is asked for, and what is cited
    assert not many.abstained


def test_a_generation_is_searched_by_name_under_the_same_acl_and_a_strange_name_is_an_error(
    server: RunningServer,
) -> None:
    stub = ops_grpc.OperationsServiceStub(server.channel)
    caller = server.auth(scopes=["ops.read"])

    def found(text: str, generation: str = "g1") -> list[str]:
        request = ops.SearchGenerationRequest(generation=generation, search=v2.SearchRequest(query=text))
        answer = stub.SearchGeneration(request, metadata=caller, timeout=20).found
        assert answer.generation == "g1"
        return [passage.locator for passage in answer.passages]

    assert found("how many vacation days")[0] == "leave.md"
    assert "pay.md" not in found("salaries are reviewed every June")
    assert failing(lambda: found("x", "strange")).reason == "GENERATION_NOT_FOUND"


def test_calls_are_counted_by_the_hash_of_the_tenant(server: RunningServer) -> None:
    caller = ops_grpc.OperationsServiceStub(server.channel).WhoAmI(
        ops.WhoAmIRequest(), metadata=server.auth(scopes=["ops.read"]), timeout=20
    )
    (shown,) = caller.tenant_hashes
    assert shown != hashlib.sha256(b"acme").hexdigest()[:12]  # names are few: a plain hash is undone by trying them

    def count(outcome: str) -> float:
        labels = {"tenant": shown, "outcome": outcome}
        return server.server.metrics.registry.get_sample_value("rag_server_tenant_calls_total", labels) or 0.0

    stub = v2_grpc.QueryServiceStub(server.channel)
    ok, failed = count("ok"), count("failed")
    stub.Search(v2.SearchRequest(query="vacation"), metadata=server.auth())
    failing(lambda: stub.Search(v2.SearchRequest(query=""), metadata=server.auth()))
    assert eventually(lambda: (count("ok"), count("failed")) == (ok + 1, failed + 1))
