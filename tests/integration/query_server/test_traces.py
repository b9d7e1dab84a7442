"""One trace from a request to each retrieval leg, recorded by the SDK's own exporter."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from rag_core.logging import get_logger, use_safe_defaults
from rag_core.retrieval.engines.remote import RemoteIndex
from rag_core.retrieval.index import SearchRequest
from rag_tracing import entry
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.query_server import INDEX_SECRET, RunningServer
from tests.support.traces import Recorded, parent_of, recorded, recorded_traces  # noqa: F401

SEARCH = "ragproto.query.v2.QueryService/Search"
ANSWER = "ragproto.query.v2.QueryService/Answer"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def search(server: RunningServer, text: str, *metadata: tuple[str, str], **fields: Any) -> pb.SearchResponse:
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    sent = (*server.auth(), *metadata)
    response: pb.SearchResponse = stub.Search(pb.SearchRequest(query=text, **fields), metadata=sent, timeout=20)
    return response


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def everything(traces: Recorded) -> str:
    """All that the recorded spans say."""
    return "".join(one.to_json() for one in traces.exporter.get_finished_spans())


def test_a_search_is_one_trace_from_the_caller_to_each_leg(server: RunningServer, traces: Recorded) -> None:
    search(server, "how many days of vacation", ("traceparent", parent_of(TRACE)))
    call = traces.named(TRACE, SEARCH)
    assert call.parent is not None
    assert call.parent.span_id == 0xAA
    for leg in ("dense leg", "lexical leg"):
        found = traces.named(TRACE, leg)
        traces.assert_ancestors(found, "search", SEARCH)
        assert attributes(found)["db.system.name"] == "qdrant"
        assert attributes(found)["db.response.returned_rows"] > 0
    embedded = attributes(traces.named(TRACE, "embeddings"))
    assert embedded["gen_ai.operation.name"] == "embeddings"
    assert embedded["gen_ai.embeddings.dimension.count"] == server.embedder.dimensions
    said = attributes(call)
    assert said["rpc.system.name"] == "grpc"
    assert said["rpc.response.status_code"] == "OK"
    assert attributes(traces.named(TRACE, "search"))["db.collection.name"] == "g1"


def test_spans_say_what_they_are_to_viewers_of_llm_applications(server: RunningServer, traces: Recorded) -> None:
    found = search(server, "how many days of vacation, said to a viewer", ("traceparent", parent_of(TRACE)))
    said = {name: attributes(traces.named(TRACE, name)) for name in (SEARCH, "search", "embeddings")}
    kinds = {name: known["openinference.span.kind"] for name, known in said.items()}
    assert kinds == {SEARCH: "CHAIN", "search": "RETRIEVER", "embeddings": "EMBEDDING"}
    assert said["embeddings"]["embedding.model_name"] == server.embedder.fingerprint
    first = "retrieval.documents.0.document"
    best = max(found.passages, key=lambda one: one.retrieval_score or one.score)
    assert said["search"][f"{first}.id"] == best.chunk_id
    assert said["search"][f"{first}.score"] > 0
    assert "input.value" not in said["search"]


def test_a_request_without_an_id_is_named_by_its_trace(server: RunningServer, traces: Recorded) -> None:
    search(server, "vacation", ("traceparent", parent_of(TRACE)))
    assert attributes(traces.named(TRACE, SEARCH))["rag.request_id"] == TRACE
    other = "2" * 32
    search(server, "vacation", ("traceparent", parent_of(other)), ("x-request-id", "of-the-caller"))
    assert attributes(traces.named(other, SEARCH))["rag.request_id"] == "of-the-caller"


@pytest.mark.parametrize(
    ("mode", "leg"), [(pb.SEARCH_MODE_DENSE, "dense leg"), (pb.SEARCH_MODE_LEXICAL, "lexical leg")]
)
def test_a_search_of_one_leg_has_that_leg(server: RunningServer, traces: Recorded, mode: Any, leg: str) -> None:
    search(server, "the office in Lisbon", ("traceparent", parent_of(TRACE)), mode=mode)
    traces.named(TRACE, SEARCH)
    assert [name for name in traces.names(TRACE) if name.endswith(" leg")] == [leg]


def test_the_legs_find_what_they_find_without_a_trace(server: RunningServer) -> None:
    plain = search(server, "vacation in Lisbon")
    with recorded():
        traced = search(server, "vacation in Lisbon", ("traceparent", parent_of(TRACE)))
    assert [(one.chunk_id, one.score) for one in traced.passages] == [
        (one.chunk_id, one.score) for one in plain.passages
    ]


def test_a_caller_that_does_not_sample_is_not_recorded(server: RunningServer, traces: Recorded) -> None:
    search(server, "vacation", ("traceparent", parent_of(TRACE, sampled=False)))
    other = "1" * 32
    search(server, "vacation", ("traceparent", parent_of(other)))
    traces.named(other, SEARCH)
    assert traces.spans(TRACE) == []


def test_a_damaged_context_begins_a_trace_of_its_own(server: RunningServer, traces: Recorded) -> None:
    search(server, "vacation", ("traceparent", "00-not-hex"))
    assert traces.settled(lambda: any(one.name == SEARCH for one in traces.exporter.get_finished_spans()))
    (call,) = [one for one in traces.exporter.get_finished_spans() if one.name == SEARCH]
    assert call.parent is None


def test_an_answer_says_what_it_took_and_cited(server: RunningServer, traces: Recorded) -> None:
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    sent = (*server.auth(), ("traceparent", parent_of(TRACE)))
    list(stub.Answer(pb.AnswerRequest(query="How many days of paid leave are there?"), metadata=sent, timeout=20))
    said = attributes(traces.named(TRACE, "answer"))
    assert said["gen_ai.provider.name"] == "extractive"
    assert said["rag.answer.citations"] > 0
    traces.assert_ancestors(traces.named(TRACE, "answer"), ANSWER)


def test_spans_hold_no_question_no_document_no_name_of_a_caller(server: RunningServer, traces: Recorded) -> None:
    search(server, "parental sabbatical zeppelin", ("traceparent", parent_of(TRACE)))
    with pytest.raises(grpc.RpcError):
        search(server, "zeppelin" * 2000, ("traceparent", parent_of(TRACE)))
    assert traces.settled(lambda: traces.names(TRACE).count(SEARCH) == 2)
    said = everything(traces)
    assert not [word for word in ("zeppelin", "Parental", "leave.md", "acme", "ann") if f"{word}" in said.split('"')]
    assert "zeppelin" not in said


def test_a_refusal_is_named_by_its_reason_and_is_no_failure_of_the_server(
    server: RunningServer, traces: Recorded
) -> None:
    with pytest.raises(grpc.RpcError):
        search(server, " ", ("traceparent", parent_of(TRACE)))
    call = traces.named(TRACE, SEARCH)
    assert attributes(call)["error.type"] == "QUERY_EMPTY"
    assert call.status.is_unset


def test_the_question_is_recorded_where_the_setting_says_so(server: RunningServer) -> None:
    with recorded(content=True) as traces:
        search(server, "days of vacation", ("traceparent", parent_of(TRACE)))
        said = attributes(traces.named(TRACE, "search"))
    assert said["gen_ai.retrieval.query.text"] == said["input.value"] == "days of vacation"


def test_log_lines_of_a_call_carry_its_trace(server: RunningServer, traces: Recorded, capsys: Any) -> None:
    use_safe_defaults()
    with entry("work", {"traceparent": parent_of(TRACE)}):
        get_logger("test").info("inside")
    get_logger("test").info("outside")
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert inside["trace_id"] == TRACE
    assert int(inside["span_id"], 16)
    assert "trace_id" not in outside


def metrics(server: RunningServer, accept: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{server.ports.metrics}/metrics", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own address
        return str(response.read().decode())


def test_the_seconds_of_a_call_name_its_trace_to_prometheus(server: RunningServer, traces: Recorded) -> None:
    own = "e" * 32
    search(server, "vacation exemplar", ("traceparent", parent_of(own)))
    call = traces.named(own, SEARCH)
    wanted = f'trace_id="{own}"'
    lines = [line for line in metrics(server, "application/openmetrics-text").splitlines() if wanted in line]
    seconds = [line for line in lines if line.startswith("rag_server_request_seconds_bucket")]
    assert seconds
    assert f'span_id="{call.context.span_id:016x}"' in seconds[0]
    assert any(line.startswith("rag_server_index_search_seconds_bucket") for line in lines)
    assert wanted not in metrics(server, "text/plain"), "the older format has no place for it"


def test_a_search_in_the_process_of_the_index_is_part_of_its_callers_trace(
    server: RunningServer, traces: Recorded
) -> None:
    vector = server.embedder.embed_queries(["vacation"])[0]
    asked = SearchRequest("acme", ("everyone",), 3, text="vacation", vector=vector)
    index = RemoteIndex(server.index_target, INDEX_SECRET, timeout=20, retry=0)
    with entry("caller", {"traceparent": parent_of(TRACE)}):
        assert index.search(asked).hits
    call = "ragproto.admin.v1.IndexService/SearchIndex"
    traces.named(TRACE, call)
    traces.assert_ancestors(traces.named(TRACE, "lexical leg"), call, "caller")
    assert index.alias() == "g1"
    index.close()
    begun = {f"{one.context.trace_id:032x}" for one in traces.exporter.get_finished_spans()}
    assert begun == {TRACE}, "a poll begins no trace of its own"
