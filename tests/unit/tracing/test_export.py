"""What reaches a collector, and what happens when it is away. Without `OTEL_*` variables there are no traces, and
nothing of OpenTelemetry's SDK is even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag_tracing import (
    NOTHING,
    carried,
    consume,
    current_ids,
    destination_of,
    entry,
    exemplar,
    outgoing,
    recording,
    span,
    start_tracing,
    stop_tracing,
    traceparent,
)
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


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_IMPORTS = """
import sys, rag_tracing
import query_server.server, query_server.index_process, rag_assets.stream_worker.worker
assert rag_tracing.start_tracing("test") is False
with rag_tracing.entry("a", {"traceparent": "%s"}), rag_tracing.span("b") as block:
    block.set({"c": 1})
found = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter",
                                                          "opentelemetry.trace", "rag_tracing.recorder"))]
assert not found, found
"""


def test_nothing_is_imported_and_nothing_recorded() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTS % PARENT], check=True, timeout=60)


def test_every_block_is_the_same_nothing() -> None:
    assert span("a") is NOTHING
    assert entry("a", {"traceparent": PARENT}) is NOTHING
    assert consume("a", [PARENT]) is NOTHING
    assert (outgoing(), traceparent(), current_ids(), exemplar(), recording()) == ((), None, None, None, False)
    assert carried(len) is len


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/"}, "http://c:4318/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/here"}, "http://c/here"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "zipkin"}, None),
    ],
)
def test_an_endpoint_switches_them_on(environment: dict[str, str], url: str | None) -> None:
    found = destination_of(environment)
    assert (found.url if found else None) == url


@pytest.mark.parametrize(
    ("sampler", "argument", "share"),
    [
        ("parentbased_traceidratio", "0.01", 0.01),
        ("traceidratio", "7", 1.0),
        ("traceidratio", "half", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("", "0.5", 1.0),
    ],
)
def test_the_share_is_what_the_sampler_keeps(sampler: str, argument: str, share: float) -> None:
    wanted = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    found = destination_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **wanted})
    assert found is not None
    assert found.share == share


def test_headers_are_those_of_the_specification() -> None:
    found = destination_of(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, x=1,bad"}
    )
    assert found is not None
    assert found.headers == (("api-key", "a b"), ("x", "1"))


@pytest.mark.parametrize(
    "wrong", [{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9999999"}]
)
def test_what_cannot_be_used_is_said_and_the_process_goes_on(
    wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", **wrong}.items():
        monkeypatch.setenv(name, value)
    assert start_tracing("test") is False
    assert "no traces" in caplog.text
    assert not recording()
