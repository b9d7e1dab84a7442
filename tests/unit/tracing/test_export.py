"""What reaches a collector, and what happens when it is away."""

from __future__ import annotations

import pytest

from rag_tracing import current_ids, entry, outgoing, span, start_tracing, stop_tracing
from tests.support.otlp import attributes_of, collector
from tests.support.traces import parent_of, recorded

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_spans_are_exported_by_otlp_with_the_name_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
        assert start_tracing("stream")
        with entry("work", {"traceparent": parent_of(TRACE)}), span("part", {"n": 3}) as block:
            block.set({"left out": None, "kept": True})
        stop_tracing()
        assert {service for service, _ in found.of_trace(TRACE)} == {"rag-stream"}
        assert attributes_of(found.named(TRACE, "part")) == {"n": "3", "kept": "True"}
        assert found.headers["x-key"] == "secret"


def test_a_process_ends_although_its_collector_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert start_tracing("test")
    with entry("work", {"traceparent": parent_of(TRACE)}):
        pass
    stop_tracing()
    assert current_ids() is None


def test_the_share_of_the_sampler_holds_for_new_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with recorded() as traces:
        with entry("begun here"):
            assert outgoing() == ()
        with entry("continued", {"traceparent": parent_of(TRACE)}):
            pass
        assert [one.name for one in traces.exporter.get_finished_spans()] == ["continued"]


def test_an_error_is_named_by_its_type_and_its_text_is_left_out() -> None:
    with recorded() as traces:
        with pytest.raises(ValueError, match="zeppelin"), entry("work"):
            raise ValueError("quotes a zeppelin")
        (found,) = traces.exporter.get_finished_spans()
    assert (found.attributes or {})["error.type"] == "ValueError"
    assert "zeppelin" not in found.to_json()


def test_the_context_of_a_caller_is_handed_on_with_its_state() -> None:
    with recorded(), entry("work", {"traceparent": parent_of(TRACE), "tracestate": "vendor=1", "baggage": "secret=1"}):
        sent = dict(outgoing())
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert not sent["traceparent"].startswith(parent_of(TRACE)[:-3])
    assert sent["tracestate"] == "vendor=1"
    assert "baggage" not in sent
