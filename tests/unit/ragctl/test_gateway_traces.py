"""The gateway's spans: Envoy begins or continues the trace of a request, and hands it to the query server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from rag_core.settings import Settings
from rag_tracing import Destination
from ragctl.gateway.bootstrap import bootstrap, validate
from ragctl.gateway.options import telemetry_environment
from tests.support.otlp import Collector, attributes_of, collector
from tests.support.query_server import Doc, running
from tests.support.traces import Recorded, parent_of, recorded, recorded_traces  # noqa: F401
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

TRACE = "0af7651916cd43dd8448eb211c80319c"
SEARCH = "ragproto.query.v2.QueryService/Search"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], Collector]]:
    """A query server behind a gateway that exports; its address, headers of a caller, and what was exported."""
    folder = tmp_path_factory.mktemp("traced")
    with collector() as found, running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        traces = Destination(f"{found.url}/v1/traces", (("x-key", "secret"),))
        options = replace(gateway_options(server.ports.query), max_seconds=31, traces=traces)
        with running_envoy(options, folder) as address:
            yield address, dict(server.auth()), found


def test_a_request_over_rest_is_one_trace_from_the_caller_through_envoy_to_each_leg(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    response = httpx.post(
        f"http://{address}/api/v2/search",
        json={"query": "when does the zeppelin ring"},
        headers={**headers, "traceparent": parent_of(TRACE)},
        trust_env=False,
        timeout=60,
    )
    assert response.status_code == 200, response.text
    gateway = found.named(TRACE, SEARCH)
    assert gateway.parent_span_id.hex() == "00000000000000aa"
    call = traces.named(TRACE, SEARCH)
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == gateway.span_id.hex()
    traces.assert_ancestors(traces.named(TRACE, "dense leg"), "search", SEARCH)
    assert {service for service, _ in found.of_trace(TRACE)} == {"rag-gateway"}
    assert found.headers["x-key"] == "secret"
    said = attributes_of(gateway)
    assert said["http.method"] == "POST"
    assert said["http.url"].endswith("/")
    assert said["guid:x-request-id"] == (call.attributes or {})["rag.request_id"]
    assert "zeppelin" not in json.dumps(said)


def test_a_path_that_names_a_document_is_not_recorded(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    asked = {**headers, "traceparent": parent_of("a" * 32)}
    httpx.get(f"http://{address}/api/v1/documents/zeppelin?page=zeppelin", headers=asked, trust_env=False, timeout=60)
    httpx.get(f"http://{address}/nowhere/zeppelin?q=zeppelin", headers=asked, trust_env=False, timeout=60)
    assert eventually(lambda: len(found.of_trace("a" * 32)) == 2)
    assert not [span for _, span in found.of_trace("a" * 32) if "zeppelin" in f"{span.name} {attributes_of(span)}"]


def test_a_caller_that_does_not_sample_leaves_no_span(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    for trace, sampled in (("b" * 32, False), ("c" * 32, True)):
        asked = {**headers, "traceparent": parent_of(trace, sampled=sampled)}
        httpx.post(
            f"http://{address}/api/v2/search", json={"query": "bell"}, headers=asked, trust_env=False, timeout=60
        )
    found.named("c" * 32, SEARCH)
    assert found.of_trace("b" * 32) == []
    assert traces.spans("b" * 32) == []


def test_the_gateway_begins_traces_for_its_share_of_calls_and_continues_those_of_callers(tmp_path: Path) -> None:
    with collector() as found, running(tmp_path / "server", docs=[Doc("The bell rings at nine.")]) as server:
        none = Destination(f"{found.url}/v1/traces", (), share=0.0)
        options = replace(gateway_options(server.ports.query), max_seconds=31, traces=none)
        with running_envoy(options, tmp_path) as address:
            for _ in range(20):
                httpx.get(f"http://{address}/nowhere", trust_env=False, timeout=60)
            httpx.get(
                f"http://{address}/nowhere", headers={"traceparent": parent_of("d" * 32)}, trust_env=False, timeout=60
            )
            assert eventually(lambda: found.of_trace("d" * 32))
    assert {span.trace_id.hex() for _, span in found.spans} == {"d" * 32}


def test_without_a_destination_there_is_no_tracer() -> None:
    assert "opentelemetry" not in json.dumps(bootstrap(gateway_options(1)))


def test_envoy_accepts_a_collector_with_tls(tmp_path: Path) -> None:
    found = Destination("https://collector.example.org/v1/traces", (("authorization", "Bearer x"),), 0.01)
    options = replace(gateway_options(1), traces=found)
    validate(options)
    text = json.dumps(bootstrap(options))
    assert '"sni": "collector.example.org"' in text
    assert '"port_value": 443' in text
    assert '{"numerator": 10000, "denominator": "MILLION"}' in text


def test_a_later_command_finds_where_the_stack_sends_its_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    assert telemetry_environment(settings) == {}
    (tmp_path / "stack.env").write_text("OTEL_EXPORTER_OTLP_ENDPOINT='http://kept:4318'\nRAG_HOST='x'\n")
    assert telemetry_environment(settings) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://kept:4318"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://given:4318")
    assert telemetry_environment(settings)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://given:4318"
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    (tmp_path / "stack.env").unlink()
    own = Settings(home=tmp_path, traces=True, traces_port=4999)
    assert telemetry_environment(own) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4999"}
