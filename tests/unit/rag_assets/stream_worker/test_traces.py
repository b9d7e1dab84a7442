"""One trace from a pushed document to its index write, also when a batch holds the documents of several."""

from __future__ import annotations

from tests.support.stream import StreamHarness
from tests.support.traces import Recorded, parent_of, recorded_traces  # noqa: F401

ONE, TWO, UNSAMPLED = "1" * 32, "2" * 32, "3" * 32
STAGES = ["stage documents", "stage chunks", "stage embeddings", "stage index", "index write"]


def apply_all(stream: StreamHarness) -> None:
    loop = stream.consumer_loop()
    loop.process(loop.source.poll(1.0))


def test_a_push_is_traced_to_its_index_write(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "the tide table of zeppelins", traceparent=parent_of(ONE))
    apply_all(stream)
    assert list(stream.texts()) == ["a.txt"]
    names = traces.names(ONE)
    assert [name for name in names if name in STAGES] == STAGES
    traces.assert_ancestors(traces.named(ONE, "index write"), "stage index", "process inbox")
    process = traces.named(ONE, "process inbox")
    assert process.parent is not None
    assert process.parent.span_id == 0xAA
    written = dict(traces.named(ONE, "index write").attributes or {})
    assert written["db.operation.name"] == "upsert"
    assert written["rag.upserted"] == 1
    assert "zeppelins" not in "".join(one.to_json() for one in traces.exporter.get_finished_spans())


def test_each_trace_of_a_batch_shows_its_document_to_the_end(stream: StreamHarness, traces: Recorded) -> None:
    for locator, trace in (("a.txt", ONE), ("b.txt", TWO), ("d.txt", ONE)):
        stream.push(locator, f"text of {locator}", traceparent=parent_of(trace))
    stream.push("c.txt", "nobody asked")
    stream.push("e.txt", "not sampled", traceparent=parent_of(UNSAMPLED, sampled=False))
    apply_all(stream)
    assert len(stream.texts()) == 5
    for trace in (ONE, TWO):
        assert [name for name in traces.names(trace) if name in STAGES] == STAGES
        traces.assert_ancestors(traces.named(trace, "index write"), "stage index", "process inbox")
    assert traces.spans(UNSAMPLED) == []
    assert {f"{one.context.trace_id:032x}" for one in traces.exporter.get_finished_spans()} == {ONE, TWO}


def test_a_batch_without_a_trace_begins_none(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "no trace")
    apply_all(stream)
    assert traces.exporter.get_finished_spans() == ()


def test_a_damaged_context_is_no_reason_to_refuse_a_document(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "text", traceparent="00-\x7f-damaged")
    apply_all(stream)
    assert list(stream.texts()) == ["a.txt"]
